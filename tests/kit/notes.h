/* What the module and its tests share. */
#ifndef NOTES_H
#define NOTES_H

#include <onesession.h>

int log_open(int number);
const char *users_find(const struct ones_session *session);

extern int notes_stopped, notes_told;

#endif

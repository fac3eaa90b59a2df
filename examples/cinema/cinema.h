/* cinema: what its files share. */
#ifndef CINEMA_H
#define CINEMA_H

#include <onesession.h>

/* ---- cinema.c ---- */

/* Answer with a page, which also shows who is signed in; takes over `values`. */
void show(struct ones_request *req, const char *page, json_t *values);

/* The account of the live session; 0: there is none. */
int64_t account_of(const struct ones_request *req);

/* The number in the path, "/titles/:id"; 0, which nothing has: it is none. */
int64_t id_of(const struct ones_request *req);

/* Read one row. False: there is none, or the statement failed, and the request is answered. */
bool read_row(struct ones_request *req, struct ones_rows **row, const char *sql, const struct ones_value values[],
              size_t count);

/* ---- billing.c ---- */

enum payment {
	PAYMENT_MADE,
	PAYMENT_DECLINED,
	PAYMENT_UNKNOWN, /* no answer: to be tried again */
};

/*
 * Have the billing service take what a row says: account, plan, card, cents, and the key by which it takes them once,
 * however often it is asked. `req` is NULL in a job.
 */
enum payment charge(struct ones_request *req, const struct ones_rows *bills, size_t row);

/* ---- Each file adds its routes, receivers, folders and jobs. ---- */

void catalogue_setup(struct ones_app *app);
void watching_setup(struct ones_app *app);
void covers_setup(struct ones_app *app);
void plans_setup(struct ones_app *app);
void billing_setup(struct ones_app *app);

#endif

/*
 * E-mail addresses: the one form that they are stored, compared and sent to in, and the one that people read. RFC 5321
 * (4.1.2, 4.5.3.1) without quoted local parts and address literals, RFC 6531 (3.3) for what is not ASCII, IDNA 2008
 * with the mapping of UTS #46 for domains.
 */
#ifndef BASE_EMAIL_H
#define BASE_EMAIL_H

#define EMAIL_MAX       254 /* bytes: a path has 256 with its angle brackets (RFC 5321, 4.5.3.1.3) */
#define EMAIL_LOCAL_MAX 64  /* bytes: RFC 5321, 4.5.3.1.1 */
#define EMAIL_SIZE      (EMAIL_MAX + 1)
/* A domain in Unicode: no A-label is shorter than a quarter of its U-label in UTF-8. */
#define EMAIL_SHOWN_SIZE (EMAIL_LOCAL_MAX + 1 + 4 * EMAIL_MAX + 1)

/*
 * The address that `typed` means: its local part as it is (in NFC), for only its own server knows whether case matters
 * there, the domain in lower case and ASCII. Space around it is none of it: whoever takes text from people removes that
 * before. Returns NULL, or why it is none ("has no @"...), with `address` empty.
 */
const char *email_parse(const char *typed, char address[EMAIL_SIZE]);

/* For people: the domain of an address from email_parse() as it is written in its language. Returns `shown`. */
const char *email_show(const char *address, char shown[EMAIL_SHOWN_SIZE]);

#endif

/* What became of an attempt to send a mail. */
#ifndef MAIL_OUTCOME_H
#define MAIL_OUTCOME_H

#define MAIL_PROBLEM_SIZE 400

enum mail_outcome {
	MAIL_OUTCOME_SENT,
	MAIL_OUTCOME_DEFERRED, /* refused for now, or there was no answer, before the server could have taken it */
	MAIL_OUTCOME_UNKNOWN,  /* it was given whole, and there was no answer: the server may have taken it */
	MAIL_OUTCOME_REFUSED,  /* for good */
	MAIL_OUTCOME_SERVER,   /* the server cannot be used: that is not about this mail */
};

struct mail_result {
	enum mail_outcome outcome;
	char problem[MAIL_PROBLEM_SIZE]; /* a sentence for operators, without control characters; "" when it was sent */
};

#endif

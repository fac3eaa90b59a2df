/* What whoever has asked for a mail to an address is told. */
#include "signup.h"

void reply_mail_sent(struct ones_request *req, const char *email, bool is_signup)
{
	if (ones_is_program(req))
		ones_reply_empty(req, 202);
	else
		reply_page_of_link(req, 202, "verify.html", "/verify",
		                   json_pack("{s:{s:b, s:s}, s:s}", "asked", "signup", (int)is_signup, "email",
		                             ones_email_shown(req, email), "login", email));
}

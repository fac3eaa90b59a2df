# shellcheck shell=sh
# onesession for scripts: one account, one live session, in front of a site that has its own login. To be sourced; needs
# curl and jq. ONESESSION_TOKEN_FILE: a file with a token of the scopes sessions and users. ONESESSION_API:
# https://shop.example/session/api, as this script reaches it. See README.md.

# onesession_call METHOD PATH [BODY]: the answer's status on the first line, and its JSON on the next.
onesession_call() {
	# Neither the token nor keys of sessions are arguments of programs, where ps(1) would show them.
	{
		printf 'header = "Authorization: Bearer %s"\n' "$(cat "$ONESESSION_TOKEN_FILE")"
		printf 'header = "Idempotency-Key: %s"\n' "$(cat /proc/sys/kernel/random/uuid)"
		[ -z "${3:-}" ] || printf '%s' "$3" | jq -Rsr '"data-binary = " + tojson'
	} | curl -sS --config - --globoff --path-as-is --max-time 5 --retry 1 --retry-connrefused -H 'Content-Type: application/json' \
		-X "$1" -w '\n%{http_code}' "$ONESESSION_API$2" | {
		body=$(cat)
		printf '%s\n%s\n' "${body##*
}" "${body%
*}"
	}
}

# onesession_refused ANSWER: says why on standard error, and fails.
onesession_refused() {
	printf '%s\n' "$1" |
		jq -Rsr 'split("\n")[1:] | join("\n") | (fromjson? | .detail) // "onesession does not answer"' >&2
	return 1
}

# onesession_sign_in NAME ADDRESS USER_AGENT COOKIES [https|http]: prints the Set-Cookie fields for the browser. COOKIES is
# the browser's Cookie field. Fails where the login is refused, and says why on standard error.
onesession_sign_in() {
	login=$(printf '; %s' "$4" | jq -Rsc --arg user "$1" --arg ip "$2" --arg agent "$3" --arg scheme "${5:-https}" '
		. as $cookies | def cookie($name): $cookies | capture("; ?(__Host-|__Secure-)?" + $name + "=(?<value>[^;]+)") // {} | .value;
		{user: $user, exact: true, ip: $ip, user_agent: $agent, secure: ($scheme == "https"),
		 presented: cookie("onesession"), device: cookie("onesession_device")}')
	answer=$(onesession_call POST /sessions "$login")
	if [ "${answer%%
*}" = 404 ]; then
		answer=$(onesession_call PUT "/users/$(jq -rn --arg name "$1" '$name | @uri')" '{}')
		case ${answer%%
*} in
		200 | 201) answer=$(onesession_call POST /sessions "$login") ;;
		esac
	fi
	[ "${answer%%
*}" = 201 ] || onesession_refused "$answer" || return
	printf '%s\n' "$answer" | jq -Rsr 'split("\n")[1:] | join("\n") | fromjson | .cookies[] | "Set-Cookie: " + .'
}

# onesession_sign_out ID: end the session that has this Session-Id; one that has ended already is no error. Fails where it
# may be live still.
onesession_sign_out() {
	uuid=$(printf '%s\n' "$1" | grep -ixE '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')
	if [ -z "$uuid" ] || [ "$uuid" != "$1" ]; then
		echo "That is no Session-Id." >&2
		return 1
	fi
	answer=$(onesession_call DELETE "/sessions/$1?reason=logged_out")
	case $answer in
		204* | 404*'"not_found"'*) ;;
		*) onesession_refused "$answer" ;;
	esac
}

# onesession_password_changed NAME: when the new password is saved: the account's sessions end everywhere. Sign the browser
# at hand in then.
onesession_password_changed() {
	path=/users/$(jq -rn --arg name "$1" '$name | @uri')
	answer=$(onesession_call GET "$path")
	# Another account's name may be written in another way.
	if printf '%s\n' "$answer" | jq -Rse --arg name "$1" 'split("\n")[1:] | join("\n") | (fromjson? // {}) |
		.username == $name and .is_admin == false' >/dev/null; then
		answer=$(onesession_call DELETE "$path/sessions?reason=password_changed")
	fi
	case $answer in
		200* | 404*'"not_found"'*) ;;
		*) onesession_refused "$answer" ;;
	esac
}

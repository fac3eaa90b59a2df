# The manual's section 3 from the public header, whose comments are the manual: awk -f mdoc.awk -f section3.awk onesession.h
#
#   -v list=1           only the names of the files that it makes: a page for each section of the header, and one for
#                       each function, macro and type that leads there
#   -v folder=DIR       writes them there
#   -v date='Month D, YYYY'
#
# A section begins with a line such as "/* ---- Reading the request: ones_request(3) ---- */". A comment right above
# declarations is about these, one with an empty line below it about the section.

function fail(problem)
{
	printf "%s:%d: %s\n", FILENAME, FNR, problem > "/dev/stderr"
	failed = 1
	exit 1
}

# ---- Reading the header ----------------------------------------------------------------------------------------------

function begin_page(line,    title, name)
{
	title = line
	sub(/^\/\* ---- /, "", title)
	sub(/ -+ \*\/$/, "", title)
	if (title !~ /: ones_[a-z_]+\(3\)$/)
		fail("a section is called \"TITLE: NAME(3)\", by the page that it becomes")
	name = title
	sub(/^.*: /, "", name)
	sub(/\(3\)$/, "", name)
	sub(/: ones_[a-z_]+\(3\)$/, "", title)
	page_name[++pages] = name
	page_title[pages] = title
	page_items[pages] = 0
	note = ""
}

function add_item(kind, text, name,    at)
{
	if (!pages)
		return
	page_items[pages]++
	at = pages SUBSEP page_items[pages]
	item_kind[at] = kind
	item_text[at] = text
	item_name[at] = name
	item_note[at] = note
	item_group[at] = group
	note = ""
}

# The name that a declaration declares.
function name_of(text,    name)
{
	name = text
	if (text ~ /^(struct|enum) ones_[a-z_]+ *[{;]/) {
		sub(/^(struct|enum) /, "", name)
		sub(/[ {;].*$/, "", name)
	} else if (text ~ /^#define/) {
		sub(/^#define +/, "", name)
		sub(/[ (\t].*$/, "", name)
	} else {
		match(name, /ones_[a-z_]+(\(| __attribute__|;)/)
		name = substr(name, RSTART, RLENGTH)
		sub(/(\(| __attribute__|;)$/, "", name)
	}
	return name
}

function take_declaration(text,    kind)
{
	if (text ~ /^(struct|enum) ones_[a-z_]+ \{/)
		kind = text ~ /^enum/ ? "enum" : "struct"
	else if (text ~ /^struct ones_[a-z_]+;/)
		kind = "opaque"
	else if (text ~ /^#define/)
		kind = "macro"
	else if (text ~ /^typedef/)
		kind = "typedef"
	else if (text ~ /^extern/)
		kind = "variable"
	else if (text ~ /^[a-z].*ones_[a-z_]+\(/)
		kind = "function"
	else
		fail("a declaration that the manual cannot tell: " text)
	add_item(kind, text, name_of(text))
}

# A comment's text: its lines without what frames them.
function plain_comment(text,    count, lines, i, line, plain)
{
	count = split(text, lines, "\n")
	plain = ""
	for (i = 1; i <= count; i++) {
		line = lines[i]
		sub(/^[ \t]*\/\*[ ]?/, "", line)
		sub(/[ \t]*\*\/[ \t]*$/, "", line)
		sub(/^[ \t]* \*[ ]?/, "", line)
		sub(/^[ \t]* \*$/, "", line)
		if ((i == 1 || i == count) && line == "")
			continue
		plain = plain (plain == "" ? "" : "\n") line
	}
	return plain
}

# Is the declaration in `text` whole?
function is_whole(text)
{
	if (text ~ /^#define/)
		return text !~ /\\$/
	if (text ~ /^(struct|enum) ones_[a-z_]+ \{/)
		return text ~ /\n};$/
	if (text ~ /^static inline/)
		return text ~ /\n}$/
	return text ~ /;([ \t]*\/\*.*\*\/)?$/
}

# What C++ has in place of something.
/^#ifdef __cplusplus$/ { is_skipping = 1; next }
is_skipping && /^#(else|endif)/ { is_skipping = 0; next }
is_skipping || /^#(if|else|endif|include|ifndef|pragma)/ { next }

in_comment {
	comment = comment "\n" $0
	if ($0 ~ /\*\/$/)
		in_comment = 0
	if (!in_comment)
		note = plain_comment(comment)
	next
}

declaration == "" && /^\/\* ---- / { begin_page($0); next }

declaration == "" && /^\/\*/ {
	comment = $0
	in_comment = $0 !~ /\*\/$/
	if (!in_comment)
		note = plain_comment(comment)
	next
}

declaration == "" && /^$/ {
	if (note != "" && !pages)
		preface = note
	else if (note != "")
		add_item("prose", "", "")
	note = ""
	group++
	next
}

{
	declaration = declaration (declaration == "" ? "" : "\n") $0
	if (is_whole(declaration)) {
		if (pages && declaration !~ /^static inline/)
			take_declaration(declaration)
		declaration = ""
	}
}

# ---- Pages -----------------------------------------------------------------------------------------------------------

function tag_of(at,    kind)
{
	kind = item_kind[at]
	if (kind == "function" || (kind == "macro" && index(item_text[at], "#define " item_name[at] "(")))
		return "Fn " item_name[at]
	if (kind == "macro")
		return "Dv " item_name[at]
	if (kind == "typedef" || kind == "variable")
		return "Vt " item_name[at]
	return "Vt " (kind == "enum" ? "enum " : "struct ") item_name[at]
}

function is_list_kind(kind)
{
	return kind == "struct" || kind == "enum"
}

# Items that share the comment above the first of them are one of the list. Returns the number of the last.
function put_item(page, i,    at, tags, next_at, said)
{
	at = page SUBSEP i
	tags = tag_of(at)
	said = item_note[at]
	while (!is_list_kind(item_kind[at]) && i < page_items[page]) {
		next_at = page SUBSEP (i + 1)
		if (item_group[next_at] != item_group[at] || item_note[next_at] != "" || is_list_kind(item_kind[next_at]) ||
		    trailing_comment(item_text[at]) != "" || trailing_comment(item_text[next_at]) != "")
			break
		tags = tags " , " tag_of(next_at)
		at = next_at
		i++
	}
	put(".It " tags)
	if (!is_list_kind(item_kind[at]) && trailing_comment(item_text[at]) != "")
		said = said (said != "" ? "\n" : "") trailing_comment(item_text[at])
	if (said != "")
		put_prose(said, 1)
	if (is_list_kind(item_kind[at]))
		put_members(item_text[at])
	return i
}

function put_description(page,    i, at, in_list)
{
	put(".Sh DESCRIPTION")
	in_list = 0
	for (i = 1; i <= page_items[page]; i++) {
		at = page SUBSEP i
		if (item_kind[at] == "prose") {
			if (in_list)
				put(".El")
			put_prose(item_note[at], i == 1)
			in_list = 0
			continue
		}
		if (!in_list)
			put(".Bl -tag -width Ds")
		in_list = 1
		i = put_item(page, i)
	}
	if (in_list)
		put(".El")
}

function put_head(name, title,    upper)
{
	upper = toupper(name)
	put(".\\\" Made from daemon/onesession.h by docs/man/section3.awk.")
	put(".Dd " date)
	put(".Dt " upper " 3")
	put(".Os onesession")
	put(".Sh NAME")
	return title
}

# Functions and macros first, for those who look for them.
function put_names(page,    i, at, names, count)
{
	count = 0
	for (i = 1; i <= page_items[page]; i++) {
		at = page SUBSEP i
		if (item_kind[at] == "function" || item_kind[at] == "macro")
			names[++count] = item_name[at]
	}
	for (i = 1; i <= count; i++)
		put(".Nm " names[i] (i < count ? " ," : ""))
	put(".Nd " (page_title[page] ~ /^[A-Z][a-z ]/ ? tolower(substr(page_title[page], 1, 1)) : \
	            substr(page_title[page], 1, 1)) substr(page_title[page], 2))
}

function write_page(page)
{
	out = folder "/" page_name[page] ".3"
	put_head(page_name[page])
	put_names(page)
	put_synopsis(page)
	put_description(page)
	put(".Sh SEE ALSO")
	put(".Xr onesession 3")
	close(out)
}

function write_preface(    page)
{
	out = folder "/onesession.3"
	put_head("onesession")
	put(".Nm onesession")
	put(".Nd modules for the daemon, in C")
	put(".Sh SYNOPSIS")
	put(".In onesession.h")
	put(".Pp")
	put(".Dl cc -shared -fPIC -o x.so x.c $(pkg-config --cflags --libs onesession)")
	put(".Sh DESCRIPTION")
	put_prose(preface, 1)
	put(".Sh MANUAL PAGES")
	put(".Bl -tag -width Ds")
	for (page = 1; page <= pages; page++) {
		put(".It Xr " page_name[page] " 3")
		put_words(page_title[page])
	}
	put(".El")
	put(".Sh SEE ALSO")
	put(".Xr onesession-try 1 ,")
	put(".Xr onesession.conf 5 ,")
	put(".Xr onesession 7 ,")
	put(".Xr onesessionctl 8 ,")
	put(".Xr onesessiond 8")
	close(out)
}

END {
	if (failed)
		exit 1
	for (page = 1; page <= pages; page++)
		owner[page_name[page]] = page
	for (page = 1; page <= pages; page++) {
		for (i = 1; i <= page_items[page]; i++) {
			name = item_name[page SUBSEP i]
			if (name != "" && !(name in owner))
				leads_to[name] = page_name[page]
		}
	}
	if (list) {
		print "onesession.3"
		for (page = 1; page <= pages; page++)
			print page_name[page] ".3"
		for (name in leads_to)
			print name ".3"
		exit 0
	}
	write_preface()
	for (page = 1; page <= pages; page++)
		write_page(page)
	for (name in leads_to) {
		out = folder "/" name ".3"
		put(".so man3/" leads_to[name] ".3")
		close(out)
	}
}

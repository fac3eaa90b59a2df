# Comments and declarations of C as mdoc(7). For section3.awk; `out` is the file that is written.

function put(line)
{
	print line > out
}

# For the arguments of a macro.
function quoted(text)
{
	gsub(/\\/, "\\e", text)
	gsub(/"/, "\\(dq", text)
	return "\"" text "\""
}

# Words of running text, in lines that are not too long, one sentence a line.
function put_text_line()
{
	if (text_line == "")
		return
	if (text_line ~ /^[.']/)
		text_line = "\\&" text_line
	put(text_line)
	text_line = ""
}

function put_macro(macro, word, ending)
{
	put_text_line()
	gsub(/./, " &", ending)
	put("." macro " " word ending)
}

function put_word(word,    ending, bare)
{
	gsub(/\\/, "\\e", word)
	bare = word
	sub(/[.,;:)]*$/, "", bare)
	ending = substr(word, length(bare) + 1)
	# The parentheses of a name are no punctuation.
	if (substr(ending, 1, 1) == ")" && bare ~ /[(][1-8]?$/) {
		bare = bare ")"
		ending = substr(ending, 2)
	}
	if (bare ~ /^[a-zA-Z_]+\(\)$/) {
		sub(/\(\)$/, "", bare)
		put_macro("Fn", bare, ending)
	} else if (bare ~ /^[a-zA-Z_.-]+\([1-8]\)$/) {
		word = substr(bare, 1, length(bare) - 3) " " substr(bare, length(bare) - 1, 1)
		put_macro("Xr", word, ending)
	} else if (bare ~ /^ONES_[A-Z_0-9]+$/) {
		put_macro("Dv", bare, ending)
	} else if (bare ~ /^`[a-z_]+`$/) {
		put_macro("Fa", substr(bare, 2, length(bare) - 2), ending)
	} else {
		if (text_line != "" && length(text_line) + length(word) > 77)
			put_text_line()
		text_line = text_line (text_line == "" ? "" : " ") word
		if (word ~ /[.?!][)"]*$/)
			put_text_line()
	}
}

function put_words(text,    words, count, i)
{
	count = split(text, words, /[ \n]+/)
	for (i = 1; i <= count; i++) {
		if (words[i] != "")
			put_word(words[i])
	}
	put_text_line()
}

# The first column of a table, as the arguments of a macro.
function tag_words(text,    words, count, i, tag, is_behind)
{
	count = split(text, words, " ")
	tag = ""
	is_behind = 0
	for (i = 1; i <= count; i++) {
		if (words[i] ~ /^[a-z_]+\(\),?$/) {
			is_behind = 1
			sub(/\(\),$/, " ,", words[i])
			sub(/\(\)$/, "", words[i])
			tag = tag " Fn " words[i]
		} else {
			tag = tag (is_behind ? " No " : " ") words[i]
			is_behind = 0
		}
	}
	return tag
}

# Lines of an example; with tabs inside, a table of two columns.
function put_block(lines, from, to,    i, parts, is_table)
{
	is_table = lines[from] ~ /[^\t]\t/
	put(is_table ? ".Bl -tag -width Ds" : ".Bd -literal -offset indent")
	for (i = from; i <= to; i++) {
		sub(/^\t/, "", lines[i])
		if (is_table) {
			split(lines[i], parts, /\t+/)
			put(".It" tag_words(parts[1]))
			put_words(parts[2])
		} else {
			gsub(/\\/, "\\e", lines[i])
			gsub(/\t/, "    ", lines[i])
			put((lines[i] ~ /^[.']/ ? "\\&" : "") lines[i])
		}
	}
	put(is_table ? ".El" : ".Ed")
}

# Where an example that begins at `from` ends: empty lines inside it belong to it.
function end_of_block(lines, from, count,    i, last)
{
	last = from
	for (i = from; i <= count && (lines[i] ~ /^\t/ || lines[i] == ""); i++) {
		if (lines[i] ~ /^\t/)
			last = i
	}
	return last
}

# Paragraphs and examples of a comment. `is_first`: nothing stands above it.
function put_prose(text, is_first,    lines, count, i, last, paragraph)
{
	count = split(text, lines, "\n")
	paragraph = ""
	for (i = 1; i <= count; i++) {
		if (lines[i] ~ /^\t/ || lines[i] == "") {
			if (paragraph != "") {
				if (!is_first)
					put(".Pp")
				put_words(paragraph)
				is_first = 0
			}
			paragraph = ""
		} else {
			paragraph = paragraph " " lines[i]
		}
		if (lines[i] ~ /^\t/) {
			last = end_of_block(lines, i, count)
			put_block(lines, i, last)
			i = last
			is_first = lines[i + 1] != ""
		}
	}
	if (paragraph != "") {
		if (!is_first)
			put(".Pp")
		put_words(paragraph)
	}
}

# ---- Declarations ----------------------------------------------------------------------------------------------------

# The arguments of a prototype, one in each of parts[].
function split_arguments(text, parts,    i, depth, count, one)
{
	count = 1
	parts[1] = ""
	depth = 0
	for (i = 1; i <= length(text); i++) {
		one = substr(text, i, 1)
		depth += (one == "(") - (one == ")")
		if (one == "," && depth == 0)
			parts[++count] = ""
		else
			parts[count] = parts[count] one
	}
	for (i = 1; i <= count; i++)
		gsub(/^ +| +$/, "", parts[i])
	return count
}

function put_prototype(text, name,    at, type, arguments, parts, count, i)
{
	gsub(/[ \t\n]+/, " ", text)
	sub(/ ONES_PRINTF\([^)]*\);/, ";", text)
	at = index(text, name "(")
	type = substr(text, 1, at - 1)
	sub(/ $/, "", type)
	arguments = substr(text, at + length(name) + 1)
	sub(/\);.*$/, "", arguments)
	put(".Ft " quoted(type))
	put(".Fo " name)
	count = split_arguments(arguments, parts)
	for (i = 1; i <= count; i++)
		put(".Fa " quoted(parts[i]))
	put(".Fc")
}

function put_macro_synopsis(text, name,    arguments, parts, count, i)
{
	if (index(text, "#define " name "(") == 0) {
		put(".Fd " quoted("#define " name))
		return
	}
	arguments = substr(text, length("#define " name "(") + 1)
	sub(/\).*$/, "", arguments)
	put(".Fo " name)
	count = split_arguments(arguments, parts)
	for (i = 1; i <= count; i++)
		put(".Fa " quoted(parts[i]))
	put(".Fc")
}

function put_synopsis(page,    i, at, kind)
{
	put(".Sh SYNOPSIS")
	put(".In onesession.h")
	for (i = 1; i <= page_items[page]; i++) {
		at = page SUBSEP i
		kind = item_kind[at]
		if (kind == "function")
			put_prototype(item_text[at], item_name[at])
		else if (kind == "macro")
			put_macro_synopsis(item_text[at], item_name[at])
		else if (kind == "typedef" || kind == "variable")
			put(".Vt " quoted(typedef_text(item_text[at])))
		else if (kind != "prose")
			put(".Vt " quoted((kind == "enum" ? "enum " : "struct ") item_name[at] ";"))
	}
}

function typedef_text(text)
{
	gsub(/[ \t\n]+/, " ", text)
	sub(/ __attribute__.*$/, ";", text)
	return text
}

# The comment behind a declaration in the same line.
function trailing_comment(text,    at)
{
	at = index(text, "/*")
	return at ? plain_comment(substr(text, at)) : ""
}

# One member or enumerator, with what is said of it.
function put_member(declared, said)
{
	gsub(/[ \t\n]+/, " ", declared)
	gsub(/^ | ?[,;]? *$/, "", declared)
	if (declared ~ /^ONES_/) {
		sub(/ = .*$/, "", declared)
		put(".It Dv " declared)
	} else {
		put(".It Va " quoted(declared))
	}
	if (said != "")
		put_words(said)
}

# Comments stand behind a member, or above it; one that ends with a colon is about all that follow.
function put_members(text,    lines, count, i, line, above, declared, said, at, depth)
{
	count = split(text, lines, "\n")
	put(".Bl -tag -width Ds")
	above = declared = ""
	for (i = 2; i < count; i++) {
		line = lines[i]
		sub(/^\t+/, " ", line)
		declared = declared line
		depth = index(declared, "/*") && declared !~ /\*\/ *$/
		if (depth)
			continue
		at = index(declared, "/*")
		said = at ? plain_comment(squeezed(substr(declared, at))) : ""
		if (at)
			declared = substr(declared, 1, at - 1)
		if (declared ~ /^ *$/) {
			above = said
			declared = ""
			continue
		}
		if (declared !~ /[,;] *$/ && i < count - 1 && said == "")
			continue
		if (above ~ /:$/) {
			put(".El")
			put(".Pp")
			put_words(above)
			put(".Bl -tag -width Ds")
			above = ""
		}
		put_member(declared, above (above != "" && said != "" ? " " : "") said)
		above = declared = ""
	}
	put(".El")
}

# A comment of several lines in one: what framed its lines goes.
function squeezed(text)
{
	gsub(/ \* /, " ", text)
	gsub(/[ \t]+/, " ", text)
	return text
}

/* The language of pages: reading templates, and linking them with what they include. */
#include "http/template_nodes.h"

#include <string.h>

/* ---- Reading ------------------------------------------------------------------------------------------------ */

struct parser {
	struct template *template;
	const char *at; /* what is before has become nodes */
	size_t open[DEPTH_MAX];
	size_t depth;
	FILE *complaints;
};

static int line_of(const struct template *template, const char *at)
{
	int line = template->first_line;

	for (const char *newline = template->source; (newline = strchr(newline, '\n')) != NULL && newline < at;
	     newline++)
		line++;
	return line;
}

static int add_node(struct parser *parser, enum node_kind kind, const char *text, size_t size)
{
	struct template *template = parser->template;
	unsigned room = template->nodes != NULL ? (unsigned)talloc_array_length(template->nodes) : 0;

	if (template->count == room) {
		struct node *grown = talloc_realloc(template, template->nodes, struct node, room == 0 ? 64 : 2 * room);

		if (grown == NULL) {
			(void)fprintf(parser->complaints, "%s: out of memory\n", template->path);
			return -1;
		}
		template->nodes = grown;
	}
	template->nodes[template->count++] = (struct node){.kind = kind, .text = text, .size = size};
	return 0;
}

static int add_text(struct parser *parser, const char *end)
{
	return end > parser->at ? add_node(parser, NODE_TEXT, parser->at, (size_t)(end - parser->at)) : 0;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* When from *begin to *end is all that its line has, make them the whole line. */
static void take_whole_line(const struct parser *parser, const char **begin, const char **end)
{
	const char *left = *begin;
	const char *right = *end;

	while (left > parser->at && is_blank(left[-1]))
		left--;
	while (is_blank(*right))
		right++;
	if ((left == parser->template->source || left[-1] == '\n') && *right == '\n') {
		*begin = left;
		*end = right + 1;
	}
}

/* What a tag says: its first character if that is one of #^/>@!, else 0, and a name, which a comment need not have. */
struct tag {
	const char *begin;
	const char *end;
	char sigil;
	const char *name;
	size_t size;
};

static bool name_is_right(const struct tag *tag)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";

	for (size_t i = 0; i < tag->size; i++) {
		const char *others = tag->sigil == '>' ? ".-/" : tag->sigil == '@' ? "." : "";

		if (strchr(letters, tag->name[i]) == NULL && strchr(others, tag->name[i]) == NULL)
			return false;
	}
	return tag->size > 0;
}

static int read_tag(const struct parser *parser, const char *begin, struct tag *tag)
{
	const char *close = strstr(begin, "}}");
	int line = line_of(parser->template, begin);
	const char *name = begin + 2;

	*tag = (struct tag){.begin = begin, .sigil = *name != '\0' && strchr("#^/>@!", *name) != NULL ? *name : '\0'};
	if (close == NULL || (tag->sigil != '!' && memchr(begin, '\n', (size_t)(close - begin)) != NULL)) {
		(void)fprintf(parser->complaints, "%s:%d: {{ without }} in the same line\n", parser->template->path,
		              line);
		return -1;
	}
	tag->end = close + 2;
	if (tag->sigil != '\0')
		name++;
	while (name < close && is_blank(*name))
		name++;
	while (close > name && is_blank(close[-1]))
		close--;
	tag->name = name;
	tag->size = (size_t)(close - name);
	if (tag->sigil != '!' && !name_is_right(tag)) {
		(void)fprintf(parser->complaints, "%s:%d: %.*s: a name has letters, digits and _ only\n",
		              parser->template->path, line, (int)(tag->end - begin), begin);
		return -1;
	}
	return 0;
}

static int open_section(struct parser *parser, const struct tag *tag)
{
	if (parser->depth == DEPTH_MAX) {
		(void)fprintf(parser->complaints, "%s:%d: more than %d sections in each other\n",
		              parser->template->path, line_of(parser->template, tag->begin), DEPTH_MAX);
		return -1;
	}
	parser->open[parser->depth++] = parser->template->count;
	return add_node(parser, tag->sigil == '#' ? NODE_SECTION : NODE_INVERTED, tag->name, tag->size);
}

static int close_section(struct parser *parser, const struct tag *tag)
{
	struct template *template = parser->template;
	int line = line_of(template, tag->begin);
	struct node *section;

	if (parser->depth == 0) {
		(void)fprintf(parser->complaints, "%s:%d: {{/%.*s}} closes nothing\n", template->path, line,
		              (int)tag->size, tag->name);
		return -1;
	}
	section = &template->nodes[parser->open[--parser->depth]];
	if (section->size != tag->size || memcmp(section->text, tag->name, tag->size) != 0) {
		(void)fprintf(parser->complaints, "%s:%d: {{/%.*s}} where {{/%.*s}} would close what line %d opens\n",
		              template->path, line, (int)tag->size, tag->name, (int)section->size, section->text,
		              line_of(template, section->text));
		return -1;
	}
	section->end = template->count;
	return 0;
}

static int parse_tag(struct parser *parser, const char *begin)
{
	struct tag tag;

	if (read_tag(parser, begin, &tag) != 0)
		return -1;
	if (tag.sigil != '\0' && tag.sigil != '>' && tag.sigil != '@')
		take_whole_line(parser, &tag.begin, &tag.end);
	if (add_text(parser, tag.begin) != 0)
		return -1;
	parser->at = tag.end;
	switch (tag.sigil) {
	case '#':
	case '^': return open_section(parser, &tag);
	case '/': return close_section(parser, &tag);
	case '>': return add_node(parser, NODE_PARTIAL, tag.name, tag.size);
	case '@': return add_node(parser, NODE_SAID, tag.name, tag.size);
	case '!': return 0;
	default: return add_node(parser, NODE_VALUE, tag.name, tag.size);
	}
}

static int parse(struct parser *parser)
{
	struct template *template = parser->template;
	const char *tag, *end;

	while ((tag = strstr(parser->at, "{{")) != NULL) {
		if (parse_tag(parser, tag) != 0)
			return -1;
	}
	if (parser->depth > 0) {
		const struct node *section = &template->nodes[parser->open[parser->depth - 1]];

		(void)fprintf(parser->complaints, "%s:%d: {{%c%.*s}} is never closed\n", template->path,
		              line_of(template, section->text), section->kind == NODE_SECTION ? '#' : '^',
		              (int)section->size, section->text);
		return -1;
	}
	end = parser->at + strlen(parser->at);
	template->ends_line = end > parser->at &&end[-1] == '\n';
	return add_text(parser, template->ends_line ? end - 1 : end);
}

struct template *template_new(TALLOC_CTX *ctx, const char *path, int line, const char *text, FILE *complaints)
{
	struct template *template = talloc_zero(ctx, struct template);
	struct parser parser = {.template = template, .at = text, .complaints = complaints};

	if (template == NULL) {
		(void)fprintf(complaints, "%s: out of memory\n", path);
		return NULL;
	}
	template->path = path;
	template->first_line = line;
	template->source = text;
	if (parse(&parser) != 0)
		TALLOC_FREE(template);
	return template;
}

/* ---- Linking ------------------------------------------------------------------------------------------------ */

/* What linking passes on to included templates. */
struct linker {
	const struct template_finder *finder;
	FILE *complaints;
};

static int link_template(const struct linker *linker, struct template *template);

static int refuse_node(const struct linker *linker, const struct template *template, const struct node *node,
                       const char *problem)
{
	(void)fprintf(linker->complaints, "%s:%d: {{%c%.*s}}: %s\n", template->path, line_of(template, node->text),
	              node->kind == NODE_SAID ? '@' : '>', (int)node->size, node->text, problem);
	return -1;
}

/* *depth becomes how deep the node is at least. */
static int link_included(const struct linker *linker, struct template *template, const struct node *node,
                         struct template *included, size_t *depth)
{
	if (included->state == BEING_LINKED)
		return refuse_node(linker, template, node,
		                   node->kind == NODE_SAID ? "that text would be in itself"
		                                           : "that page would be in itself");
	if (link_template(linker, included) != 0)
		return -1;
	template->has_script |= included->has_script;
	if (*depth < 1 + included->depth)
		*depth = 1 + included->depth;
	return 0;
}

static int link_partial(const struct linker *linker, struct template *template, struct node *node, size_t *depth)
{
	struct template *partial = linker->finder->page(linker->finder->context, node->text, node->size);

	if (partial == NULL)
		return refuse_node(linker, template, node, "there is no such page");
	node->partial = partial;
	return link_included(linker, template, node, partial, depth);
}

/* A text that is the same in two languages is one template. */
static int link_said(const struct linker *linker, struct template *template, struct node *node, size_t *depth)
{
	const struct template_text *said = linker->finder->text(linker->finder->context, node->text, node->size);

	if (said == NULL)
		return refuse_node(linker, template, node, "there is no such text");
	node->said = said;
	for (size_t i = 0; i < LANGUAGES_MAX && said->in[i] != NULL; i++) {
		if (link_included(linker, template, node, said->in[i], depth) != 0)
			return -1;
	}
	return 0;
}

static int link_node(const struct linker *linker, struct template *template, struct node *node, size_t *depth)
{
	if (node->kind == NODE_PARTIAL)
		return link_partial(linker, template, node, depth);
	if (node->kind == NODE_SAID)
		return link_said(linker, template, node, depth);
	if (node->kind == NODE_TEXT && memmem(node->text, node->size, "<script", 7) != NULL)
		template->has_script = true;
	return 0;
}

static int link_template(const struct linker *linker, struct template *template)
{
	size_t ends[DEPTH_MAX];
	size_t depth = 0;

	if (template->state == LINKED)
		return 0;
	template->state = BEING_LINKED;
	for (size_t i = 0; i < template->count; i++) {
		struct node *node = &template->nodes[i];
		size_t below = 0;

		while (depth > 0 && ends[depth - 1] <= i)
			depth--;
		if (node->kind == NODE_SECTION || node->kind == NODE_INVERTED)
			ends[depth++] = node->end;
		else if (link_node(linker, template, node, &below) != 0)
			return -1;
		if (depth + below > template->depth)
			template->depth = depth + below;
	}
	if (template->depth > DEPTH_MAX) {
		(void)fprintf(linker->complaints, "%s: more than %d sections and pages in each other\n", template->path,
		              DEPTH_MAX);
		return -1;
	}
	template->state = LINKED;
	return 0;
}

int template_link(struct template *template, const struct template_finder *finder, FILE *complaints)
{
	return link_template(&(struct linker){finder, complaints}, template);
}

bool template_has_script(const struct template *template)
{
	return template->has_script;
}

const char *template_source(const struct template *template)
{
	return template->source;
}

const char *template_path(const struct template *template)
{
	return template->path;
}

/* The language of pages: reading, linking and filling in templates. */
#include "http/template.h"

#include <string.h>

/* Sections and included pages within each other: what there is recurses as deep, and no deeper. */
#define DEPTH_MAX 32
/* No page comes near these. They bound what nested lists can become. */
#define OUTPUT_MAX ((size_t)4 << 20)
#define STEPS_MAX  1000000

enum node_kind { NODE_TEXT, NODE_VALUE, NODE_SECTION, NODE_INVERTED, NODE_PARTIAL };

struct node {
	enum node_kind kind;
	const char *text; /* in the source: of all but NODE_TEXT it is the name */
	size_t size;
	size_t end; /* of a section: the number of the node after it */
	const struct template *partial;
};

enum link_state { NOT_LINKED, BEING_LINKED, LINKED };

struct template
{
	const char *path;
	const char *source;
	struct node *nodes;
	size_t count;
	bool ends_line; /* the newline at the end of the file is there only when it is a page of its own */
	enum link_state state;
	size_t depth;
	bool has_script;
};

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
	int line = 1;

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

/* What a tag says: its first character if that is one of #^/>!, else 0, and a name, which a comment need not have. */
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
		if (strchr(letters, tag->name[i]) == NULL && !(tag->sigil == '>' && strchr(".-", tag->name[i]) != NULL))
			return false;
	}
	return tag->size > 0;
}

static int read_tag(const struct parser *parser, const char *begin, struct tag *tag)
{
	const char *close = strstr(begin, "}}");
	int line = line_of(parser->template, begin);
	const char *name = begin + 2;

	*tag = (struct tag){.begin = begin, .sigil = *name != '\0' && strchr("#^/>!", *name) != NULL ? *name : '\0'};
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
	if (tag.sigil != '\0' && tag.sigil != '>')
		take_whole_line(parser, &tag.begin, &tag.end);
	if (add_text(parser, tag.begin) != 0)
		return -1;
	parser->at = tag.end;
	switch (tag.sigil) {
	case '#':
	case '^': return open_section(parser, &tag);
	case '/': return close_section(parser, &tag);
	case '>': return add_node(parser, NODE_PARTIAL, tag.name, tag.size);
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

struct template *template_new(TALLOC_CTX *ctx, const char *path, const char *text, FILE *complaints)
{
	struct template *template = talloc_zero(ctx, struct template);
	struct parser parser = {.template = template, .at = text, .complaints = complaints};

	if (template == NULL) {
		(void)fprintf(complaints, "%s: out of memory\n", path);
		return NULL;
	}
	template->path = path;
	template->source = text;
	if (parse(&parser) != 0)
		TALLOC_FREE(template);
	return template;
}

/* ---- Linking ------------------------------------------------------------------------------------------------ */

/* What linking passes on to included templates. */
struct linker {
	template_find *find;
	void *context;
	FILE *complaints;
};

static int link_template(const struct linker *linker, struct template *template);

static int link_partial(const struct linker *linker, struct template *template, struct node *node)
{
	struct template *partial = linker->find(linker->context, node->text, node->size);
	int line = line_of(template, node->text);

	if (partial == NULL) {
		(void)fprintf(linker->complaints, "%s:%d: {{>%.*s}}: there is no such page\n", template->path, line,
		              (int)node->size, node->text);
		return -1;
	}
	if (partial->state == BEING_LINKED) {
		(void)fprintf(linker->complaints, "%s:%d: {{>%.*s}}: that page would be in itself\n", template->path,
		              line, (int)node->size, node->text);
		return -1;
	}
	if (link_template(linker, partial) != 0)
		return -1;
	node->partial = partial;
	template->has_script |= partial->has_script;
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
		if (node->kind == NODE_PARTIAL) {
			if (link_partial(linker, template, node) != 0)
				return -1;
			below = 1 + node->partial->depth;
		} else if (node->kind == NODE_SECTION || node->kind == NODE_INVERTED) {
			ends[depth++] = node->end;
		} else if (node->kind == NODE_TEXT && memmem(node->text, node->size, "<script", 7) != NULL) {
			template->has_script = true;
		}
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

int template_link(struct template *template, template_find *find, void *context, FILE *complaints)
{
	const struct linker linker = {find, context, complaints};

	return link_template(&linker, template);
}

bool template_has_script(const struct template *template)
{
	return template->has_script;
}

/* ---- Filling in --------------------------------------------------------------------------------------------- */

struct output {
	char *text;
	size_t used;
	size_t size;
	size_t steps;
};

/* Where names are looked up: in the innermost scope first. */
struct scope {
	const json_t *value;
	const struct scope *outer;
};

static bool put(struct output *output, const char *text, size_t size)
{
	if (output->used + size + 1 > output->size) {
		size_t grown_size = 2 * (output->used + size + 1);
		char *grown = grown_size <= OUTPUT_MAX ? talloc_realloc_size(NULL, output->text, grown_size) : NULL;

		if (grown == NULL)
			return false;
		output->text = grown;
		output->size = grown_size;
	}
	memcpy(output->text + output->used, text, size);
	output->used += size;
	output->text[output->used] = '\0';
	return true;
}

static bool put_escaped(struct output *output, const char *text, size_t size)
{
	bool done = true;

	for (; size > 0 && done; text++, size--) {
		switch (*text) {
		case '&': done = put(output, "&amp;", 5); break;
		case '<': done = put(output, "&lt;", 4); break;
		case '>': done = put(output, "&gt;", 4); break;
		case '"': done = put(output, "&quot;", 6); break;
		case '\'': done = put(output, "&#39;", 5); break;
		default: done = put(output, text, 1); break;
		}
	}
	return done;
}

static const json_t *lookup(const struct scope *scope, const struct node *node)
{
	for (; scope != NULL; scope = scope->outer) {
		const json_t *value = json_object_getn(scope->value, node->text, node->size);

		if (value != NULL)
			return value;
	}
	return NULL;
}

static bool put_value(struct output *output, const json_t *value)
{
	char number[32];
	int size;

	if (json_is_string(value))
		return put_escaped(output, json_string_value(value), json_string_length(value));
	if (!json_is_integer(value))
		return true;
	size = snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
	return put(output, number, (size_t)size);
}

static bool is_there(const json_t *value)
{
	if (json_is_array(value))
		return json_array_size(value) > 0;
	if (json_is_string(value))
		return json_string_length(value) > 0;
	return json_is_true(value) || json_is_object(value) || (json_is_number(value) && json_number_value(value) != 0);
}

static bool render(struct output *output, const struct template *template, size_t from, size_t to,
                   const struct scope *scope);

static bool render_section(struct output *output, const struct template *template, size_t at, const struct scope *outer)
{
	const struct node *node = &template->nodes[at];
	const json_t *value = lookup(outer, node);
	struct scope scope = {.value = value, .outer = outer};

	if (!is_there(value))
		return true;
	if (!json_is_array(value))
		return render(output, template, at + 1, node->end, &scope);
	for (size_t i = 0; i < json_array_size(value); i++) {
		scope.value = json_array_get(value, i);
		if (!render(output, template, at + 1, node->end, &scope))
			return false;
	}
	return true;
}

/* The recursion is as deep as template_link() has allowed. */
static bool render(struct output *output, const struct template *template, size_t from, size_t to,
                   const struct scope *scope)
{
	bool done = true;

	for (size_t i = from; i < to && done; i++) {
		const struct node *node = &template->nodes[i];

		if (++output->steps > STEPS_MAX)
			return false;
		switch (node->kind) {
		case NODE_TEXT: done = put(output, node->text, node->size); break;
		case NODE_VALUE: done = put_value(output, lookup(scope, node)); break;
		case NODE_PARTIAL: done = render(output, node->partial, 0, node->partial->count, scope); break;
		case NODE_SECTION:
			done = render_section(output, template, i, scope);
			i = node->end - 1;
			break;
		case NODE_INVERTED:
			if (!is_there(lookup(scope, node)))
				done = render(output, template, i + 1, node->end, scope);
			i = node->end - 1;
			break;
		}
	}
	return done;
}

char *template_render(TALLOC_CTX *ctx, const struct template *template, const json_t *values, size_t *size)
{
	const struct scope scope = {.value = values};
	struct output output = {.text = talloc_strdup(ctx, ""), .size = 1};

	if (output.text == NULL || !render(&output, template, 0, template->count, &scope) ||
	    (template->ends_line && !put(&output, "\n", 1))) {
		talloc_free(output.text);
		return NULL;
	}
	*size = output.used;
	return output.text;
}

/* Filling in templates. */
#include "http/template_nodes.h"

#include <string.h>

/* No page comes near these. They bound what nested lists can become. */
#define OUTPUT_MAX ((size_t)4 << 20)
#define STEPS_MAX  1000000
/* Most pages fit into it. */
#define OUTPUT_FIRST 4096

struct output {
	char *text;
	size_t used;
	size_t size;
	size_t steps;
	const struct template_filling *filling;
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

static const char *escape_of(char c)
{
	switch (c) {
	case '&': return "&amp;";
	case '<': return "&lt;";
	case '>': return "&gt;";
	case '"': return "&quot;";
	case '\'': return "&#39;";
	default: return NULL;
	}
}

static bool put_escaped(struct output *output, const char *text, size_t size)
{
	size_t begin = 0;

	for (size_t i = 0; i < size; i++) {
		const char *escape = escape_of(text[i]);

		if (escape == NULL)
			continue;
		if (!put(output, text + begin, i - begin) || !put(output, escape, strlen(escape)))
			return false;
		begin = i + 1;
	}
	return put(output, text + begin, size - begin);
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
		return (output->filling->is_plain ? put : put_escaped)(output, json_string_value(value),
		                                                       json_string_length(value));
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

static bool render_said(struct output *output, const struct template_text *said, const struct scope *scope)
{
	const struct template *template = said->in[output->filling->language.number[said->owner]];

	return render(output, template, 0, template->count, scope);
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
		case NODE_SAID: done = render_said(output, node->said, scope); break;
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

char *template_render(TALLOC_CTX *ctx, const struct template *template, const struct template_filling *filling,
                      size_t *size)
{
	const struct scope values = {.value = filling->values};
	const struct scope scope = {.value = filling->always, .outer = &values};
	struct output output = {.text = talloc_size(ctx, OUTPUT_FIRST), .size = OUTPUT_FIRST, .filling = filling};

	if (output.text == NULL || !put(&output, "", 0) || !render(&output, template, 0, template->count, &scope) ||
	    (template->ends_line && !put(&output, "\n", 1))) {
		talloc_free(output.text);
		return NULL;
	}
	*size = output.used;
	return output.text;
}

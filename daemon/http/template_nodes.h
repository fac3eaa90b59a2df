/* What a template has become when it is read: for template.c and template_fill.c. */
#ifndef HTTP_TEMPLATE_NODES_H
#define HTTP_TEMPLATE_NODES_H

#include "http/template.h"

/* Sections and included pages within each other: what there is recurses as deep, and no deeper. */
#define DEPTH_MAX 32

enum node_kind { NODE_TEXT, NODE_VALUE, NODE_SECTION, NODE_INVERTED, NODE_PARTIAL, NODE_SAID };

struct node {
	enum node_kind kind;
	const char *text; /* in the source: of all but NODE_TEXT it is the name */
	size_t size;
	union {
		size_t end;                       /* of a section: the number of the node after it */
		const struct template *partial;   /* of NODE_PARTIAL, once it is linked */
		const struct template_text *said; /* of NODE_SAID, likewise */
	};
};

enum link_state { NOT_LINKED, BEING_LINKED, LINKED };

struct template
{
	const char *path;
	int first_line; /* of the source in that file */
	const char *source;
	struct node *nodes;
	size_t count;
	bool ends_line; /* the newline at the end of the file is there only when it is a page of its own */
	enum link_state state;
	size_t depth;
	bool has_script;
};

#endif

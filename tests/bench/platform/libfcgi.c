/*
 * The application of the comparison of platforms with libfcgi and libpq alone: processes that each have a connection.
 *
 *   libfcgi SOCKET PROCESSES CONNINFO
 */
#include "../prefork.h"
#include "catalogue.h"

#include <inttypes.h>
#include <jansson.h>
#include <libpq-fe.h>

static PGconn *db;

static bool connect_and_prepare(const char *conninfo)
{
	PGresult *prepared;
	bool is_ready;

	db = PQconnectdb(conninfo);
	if (PQstatus(db) != CONNECTION_OK)
		return false;
	prepared = PQprepare(db, "title", CATALOGUE_SQL "$1", 0, NULL);
	is_ready = PQresultStatus(prepared) == PGRES_COMMAND_OK;
	PQclear(prepared);
	return is_ready;
}

static void answer(FCGX_Request *request, const char *head, const char *body)
{
	(void)FCGX_PutS(head, request->out);
	(void)FCGX_PutS(body, request->out);
}

static void answer_row(FCGX_Request *request, int64_t id, const PGresult *row)
{
	json_t *value =
		json_pack("{s:I, s:s, s:I, s:s}", "id", (json_int_t)id, "title", PQgetvalue(row, 0, CATALOGUE_TITLE),
	                  "year", (json_int_t)strtoll(PQgetvalue(row, 0, CATALOGUE_YEAR), NULL, 10), "summary",
	                  PQgetvalue(row, 0, CATALOGUE_SUMMARY));
	char *text = value != NULL ? json_dumps(value, JSON_COMPACT) : NULL;

	if (text != NULL)
		answer(request, "Status: 200 OK\r\nContent-Type: application/json\r\n\r\n", text);
	else
		answer(request, "Status: 500 Internal Server Error\r\n\r\n", "");
	free(text);
	json_decref(value);
}

static void title(FCGX_Request *request)
{
	char number[24];
	const char *const values[] = {number};
	PGresult *row;
	int64_t id;

	if (!catalogue_id_of_path(FCGX_GetParam("SCRIPT_NAME", request->envp), &id)) {
		answer(request, "Status: 404 Not Found\r\n\r\n", "");
		return;
	}
	(void)snprintf(number, sizeof number, "%" PRId64, id);
	row = PQexecPrepared(db, "title", 1, values, NULL, NULL, 0);
	if (PQresultStatus(row) != PGRES_TUPLES_OK)
		answer(request, "Status: 503 Service Unavailable\r\n\r\n", "");
	else if (PQntuples(row) == 0)
		answer(request, "Status: 404 Not Found\r\n\r\n", "");
	else
		answer_row(request, id, row);
	PQclear(row);
}

static const char *conninfo;

static int serve(int listener)
{
	FCGX_Request request;

	if (!connect_and_prepare(conninfo)) {
		(void)fprintf(stderr, "libfcgi: %s", PQerrorMessage(db));
		return EXIT_FAILURE;
	}
	if (FCGX_InitRequest(&request, listener, 0) != 0)
		return EXIT_FAILURE;
	while (FCGX_Accept_r(&request) == 0) {
		title(&request);
		FCGX_Finish_r(&request);
		/* A new process would have to be started by what supervises this one. */
		if (PQstatus(db) != CONNECTION_OK)
			return EXIT_FAILURE;
	}
	return EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	int processes;

	if (argc != 4 || (processes = atoi(argv[2])) <= 0) {
		(void)fprintf(stderr, "usage: libfcgi SOCKET PROCESSES CONNINFO\n");
		return 64;
	}
	conninfo = argv[3];
	return prefork(argv[1], processes, serve);
}

/*
 * The application of the comparison of platforms with ulfius: one process, a thread for each connection, and a pool of
 * connections to the database, for ulfius has none.
 *
 *   ulfius PORT CONNECTIONS CONNINFO
 */
#include "catalogue.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <ulfius.h>

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t freed;
	int count; /* of those that are free */
	PGconn *connections[64];
};

static PGconn *take(struct pool *pool)
{
	PGconn *connection;

	(void)pthread_mutex_lock(&pool->lock);
	while (pool->count == 0)
		(void)pthread_cond_wait(&pool->freed, &pool->lock);
	connection = pool->connections[--pool->count];
	(void)pthread_mutex_unlock(&pool->lock);
	return connection;
}

static void give_back(struct pool *pool, PGconn *connection)
{
	(void)pthread_mutex_lock(&pool->lock);
	pool->connections[pool->count++] = connection;
	(void)pthread_cond_signal(&pool->freed);
	(void)pthread_mutex_unlock(&pool->lock);
}

static bool fill(struct pool *pool, int count, const char *conninfo)
{
	for (; pool->count < count; pool->count++) {
		PGconn *connection = PQconnectdb(conninfo);
		PGresult *prepared = PQprepare(connection, "title", CATALOGUE_SQL "$1", 0, NULL);
		bool is_ready = PQresultStatus(prepared) == PGRES_COMMAND_OK;

		PQclear(prepared);
		if (!is_ready) {
			(void)fprintf(stderr, "ulfius: %s", PQerrorMessage(connection));
			return false;
		}
		pool->connections[pool->count] = connection;
	}
	return true;
}

static void answer_row(struct _u_response *response, int64_t id, const PGresult *row)
{
	json_t *value =
		json_pack("{s:I, s:s, s:I, s:s}", "id", (json_int_t)id, "title", PQgetvalue(row, 0, CATALOGUE_TITLE),
	                  "year", (json_int_t)strtoll(PQgetvalue(row, 0, CATALOGUE_YEAR), NULL, 10), "summary",
	                  PQgetvalue(row, 0, CATALOGUE_SUMMARY));

	if (value == NULL || ulfius_set_json_body_response(response, 200, value) != U_OK)
		response->status = 500;
	json_decref(value);
}

static int title(const struct _u_request *request, struct _u_response *response, void *context)
{
	char number[24];
	const char *const values[] = {number};
	const char *text = u_map_get(request->map_url, "id");
	struct pool *pool = context;
	PGconn *connection;
	PGresult *row;
	int64_t id;

	if (text == NULL || !catalogue_id(text, &id)) {
		response->status = 404;
		return U_CALLBACK_CONTINUE;
	}
	(void)snprintf(number, sizeof number, "%" PRId64, id);
	connection = take(pool);
	row = PQexecPrepared(connection, "title", 1, values, NULL, NULL, 0);
	give_back(pool, connection);
	if (PQresultStatus(row) != PGRES_TUPLES_OK)
		response->status = 503;
	else if (PQntuples(row) == 0)
		response->status = 404;
	else
		answer_row(response, id, row);
	PQclear(row);
	return U_CALLBACK_CONTINUE;
}

int main(int argc, char **argv)
{
	static struct pool pool = {.lock = PTHREAD_MUTEX_INITIALIZER, .freed = PTHREAD_COND_INITIALIZER};
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct _u_instance instance;
	sigset_t ending;
	int count, number;

	if (argc != 4 || (count = atoi(argv[2])) <= 0 ||
	    (size_t)count > sizeof pool.connections / sizeof *pool.connections) {
		(void)fprintf(stderr, "usage: ulfius PORT CONNECTIONS CONNINFO\n");
		return 64;
	}
	address.sin_port = htons((uint16_t)atoi(argv[1]));
	(void)sigemptyset(&ending);
	(void)sigaddset(&ending, SIGTERM);
	/* Before threads are made, which inherit it. */
	(void)sigprocmask(SIG_BLOCK, &ending, NULL);
	if (!fill(&pool, count, argv[3]) ||
	    ulfius_init_instance(&instance, (unsigned int)atoi(argv[1]), &address, NULL) != U_OK ||
	    ulfius_add_endpoint_by_val(&instance, "GET", "/catalogue/titles", "/:id", 0, title, &pool) != U_OK ||
	    ulfius_start_framework(&instance) != U_OK)
		return EXIT_FAILURE;
	(void)sigwait(&ending, &number);
	(void)ulfius_stop_framework(&instance);
	ulfius_clean_instance(&instance);
	return EXIT_SUCCESS;
}

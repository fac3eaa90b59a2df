"""
Copies of the database that all tests begin with. A copy whose rows alone were changed is restored for the next test,
which costs a tenth of dropping it and making another one.
"""

import io

import psycopg2

# Changes with whatever a test did to anything but rows: tables, functions, rights, settings, statistics. What was written
# since the template was made is younger than its last transaction.
CATALOGS = {
    "class": "oid", "attribute": "attrelid", "attrdef": "oid", "proc": "oid", "trigger": "oid", "constraint": "oid",
    "index": "indexrelid", "namespace": "oid", "description": "objoid", "default_acl": "oid", "statistic": "starelid",
    "policy": "oid", "rewrite": "oid",
}  # fmt: skip
# PostgreSQL's own objects, which no test changes, have lower numbers.
FIRST_OID = 16384
FINGERPRINT = (
    "SELECT "
    + " || '/' || ".join(
        f"(SELECT count(*) || ':' || count(*) FILTER (WHERE age(xmin) < age(%(since)s::text::xid)) FROM pg_{name}"
        f" WHERE {key} >= {FIRST_OID})"
        for name, key in CATALOGS.items()
    )
    + " || '/' || (SELECT concat(nspowner, nspacl::text) FROM pg_namespace WHERE nspname = 'public')"
    + " || '/' || (SELECT coalesce(string_agg(s::text, ','), '') FROM pg_db_role_setting s WHERE setdatabase ="
    " (SELECT oid FROM pg_database WHERE datname = current_database()))"
    " || '/' || (SELECT concat(datacl::text, datconnlimit, datallowconn) FROM pg_database WHERE datname = current_database())"
)
TABLES = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
SEQUENCES = (
    "SELECT format('%I.%I', schemaname, sequencename), coalesce(last_value, start_value), last_value IS NOT NULL"
    " FROM pg_sequences"
)
ROWS = "SELECT coalesce(sum(n_live_tup + n_dead_tup), 0) FROM pg_stat_user_tables"
OTHERS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
# What is left of more rows than that is slower than a new copy, and so many show in the statistics.
MANY = 500


class Copies:
    """Of the database `template`, which does not change any more."""

    def __init__(self, cluster, template):
        self.cluster, self.template = cluster, template
        self.restored = []
        self.connections = {}
        connection = cluster.connect(template)
        with connection.cursor() as cursor:
            self.rows = {}
            cursor.execute(TABLES)
            for (table,) in cursor.fetchall():
                text = io.StringIO()
                cursor.copy_expert(f"COPY {table} TO STDOUT", text)
                self.rows[table] = text.getvalue()
            cursor.execute(SEQUENCES)
            self.sequences = cursor.fetchall()
            cursor.execute("SELECT txid_current()")
            self.since = cursor.fetchone()[0]
            cursor.execute(FINGERPRINT, {"since": self.since})
            self.fingerprint = cursor.fetchone()[0]
            self.prepared = self._prepare(cursor)
        connection.close()

    def _prepare(self, cursor):
        """What each connection to a copy prepares."""
        deletions = ", ".join(f"d{n} AS (DELETE FROM {table})" for n, table in enumerate(self.rows))
        numbers = ", ".join(cursor.mogrify("setval(%s, %s, %s)", row).decode() for row in self.sequences)
        look = cursor.mogrify(f"SELECT ({FINGERPRINT}), ({ROWS}), ({OTHERS})", {"since": self.since}).decode()
        return f"PREPARE is_as_it_was AS {look}; PREPARE put_back AS WITH {deletions} SELECT pg_stat_reset(), {numbers}"

    def take(self):
        """The name of a copy."""
        if self.restored:
            return self.restored.pop()
        self.cluster.count += 1
        name = f"t{self.cluster.count}"
        self.cluster.create_database(name, self.template)
        return name

    def give_back(self, name):
        """False when it cannot be restored, and is to be dropped."""
        with self._cursor(name) as cursor:
            if self._is_as_it_was(cursor):
                self._put_back(cursor)
                self.restored.append(name)
                return True
        self.connections.pop(name)[1].close()
        return False

    def restore(self, name):
        """A copy that is in use, and of which only rows have changed, has the rows of the beginning again."""
        with self._cursor(name) as cursor:
            self._put_back(cursor)

    def _cursor(self, name):
        """Of a connection that stays, with what it has prepared: to make one costs as much as to restore a copy."""
        server, connection = self.connections.get(name, (None, None))
        if server is not self.cluster.process or not self._answers(connection):
            if connection is not None:
                connection.close()
            connection = self.cluster.connect(name)
            self.connections[name] = self.cluster.process, connection
            with connection.cursor() as cursor:
                cursor.execute(self.prepared)
        return connection.cursor()

    @staticmethod
    def _answers(connection):
        """A test may have had the server end its connections."""
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT")
            return True
        except psycopg2.Error:
            return False

    def _is_as_it_was(self, cursor):
        cursor.execute("EXECUTE is_as_it_was")
        fingerprint, rows, others = cursor.fetchone()
        return fingerprint == self.fingerprint and rows < MANY and others == 0

    def _put_back(self, cursor):
        # No trigger: what is put back has its numbers already.
        cursor.execute("BEGIN; SET LOCAL session_replication_role = replica")
        cursor.execute("EXECUTE put_back")
        for table, text in self.rows.items():
            if text:
                cursor.copy_expert(f"COPY {table} FROM STDIN", io.StringIO(text))
        cursor.execute("COMMIT")

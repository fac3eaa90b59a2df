// Ends the streams of each session that ends. PG* variables tell where the database is, STREAMS where the streams.
const { Client } = require('pg');
const ENDED = ['session_displaced', 'session_replaced', 'user_logged_out'];
const SESSION_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

let latest = null, done = new Set();

const endStreams = async (sessionId) => {
    if (SESSION_ID.test(sessionId))
        await fetch(`${process.env.STREAMS}/${sessionId}`, { method: 'DELETE', signal: AbortSignal.timeout(5000) });
};

async function readEvents(database) {
    const { rows } = await database.query("SELECT id, at::text, session_id FROM events WHERE name = ANY($1)"
        + " AND at > coalesce($2::timestamptz, now() - interval '9 minutes') - interval '1 minute' ORDER BY events.at",
        [ENDED, latest]);
    await Promise.all(rows.filter(({ id }) => !done.has(id)).map((row) => endStreams(row.session_id)));
    done = new Set(rows.map(({ id }) => id));
    latest = rows.length ? rows.at(-1).at : latest;
}

async function listen(database) {
    let lost, wake;
    const end = new Promise((_, reject) => { lost = reject; });
    end.catch(() => {});
    database.on('error', lost).on('end', () => lost(new Error('the connection was lost')));
    // Whatever a notification says, it only wakes. And a quiet minute shows whether the connection is there.
    let woken = new Promise((resolve) => { wake = resolve; });
    database.on('notification', () => wake());
    const minutes = setInterval(() => wake(), 60000);
    try {
        await database.connect();
        await database.query('LISTEN onesession');
        for (;;) {
            await Promise.race([end, readEvents(database)]);
            await Promise.race([end, woken]);
            woken = new Promise((resolve) => { wake = resolve; });
        }
    } finally {
        clearInterval(minutes);
        database.end().catch(() => {});
    }
}

(async () => {
    for (;;) {
        await listen(new Client({ application_name: 'listener', keepAlive: true }))
            .catch((problem) => console.log(problem.message));
        await new Promise((resolve) => setTimeout(resolve, 1000));
    }
})();

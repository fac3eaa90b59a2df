// Ends the streams of each session that ends. PG* variables tell where the database is, STREAMS where the streams.
const { Client } = require('pg');
const ENDED = ['session_displaced', 'session_replaced', 'user_logged_out'];

const endStreams = (sessionId) =>
    fetch(`${process.env.STREAMS}/${sessionId}`, { method: 'DELETE', signal: AbortSignal.timeout(5000) });

function listen(lost) {
    const database = new Client({ application_name: 'listener', keepAlive: true });
    const giveUp = (problem) => { database.end().catch(() => {}); lost(problem); };
    database.on('error', giveUp).on('notification', ({ payload }) => {
        const event = JSON.parse(payload);
        if (ENDED.includes(event.name)) endStreams(event.session_id).catch(giveUp);
    });
    database.connect()
        .then(() => database.query('LISTEN onesession'))
        .then(() => database.query("SELECT session_id FROM events WHERE name = ANY($1)"
            + " AND at > now() - interval '10 minutes'", [ENDED]))
        .then(({ rows }) => Promise.all(rows.map((row) => endStreams(row.session_id))))
        .catch(giveUp);
}

(async () => {
    for (;;) {
        console.log((await new Promise(listen)).message);
        await new Promise((resolve) => setTimeout(resolve, 1000));
    }
})();

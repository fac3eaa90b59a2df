<?php
// Ends the streams of each session that ends. PG* variables tell where the database is, STREAMS where the streams.
const ENDED = ['session_displaced', 'session_replaced', 'user_logged_out'];
const SESSION_ID = '/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/D';

function end_streams(?string $session_id): void
{
    if (!preg_match(SESSION_ID, $session_id ?? ''))
        return;
    $how = ['http' => ['method' => 'DELETE', 'timeout' => 5, 'ignore_errors' => true]];
    if (@file_get_contents(getenv('STREAMS') . "/$session_id", false, stream_context_create($how)) === false)
        throw new RuntimeException(error_get_last()['message']);
}

function read_events(PDOStatement $events): void
{
    static $latest = null, $done = [];
    $events->execute([...ENDED, $latest]);
    $rows = $events->fetchAll(PDO::FETCH_ASSOC);
    foreach ($rows as $row)
        if (!isset($done[$row['id']]))
            end_streams($row['session_id']);
    $done = array_column($rows, 'id', 'id');
    $latest = $rows ? end($rows)['at'] : $latest;
}

while (true) {
    try {
        $database = new PDO('pgsql:application_name=listener');
        $database->exec('LISTEN onesession');
        $events = $database->prepare("SELECT id, at, session_id FROM events WHERE name IN (?, ?, ?)"
            . " AND at > coalesce(CAST(? AS timestamptz), now() - interval '9 minutes') - interval '1 minute'"
            . " ORDER BY at");
        while (true) {
            read_events($events);
            // Whatever a notification says, it only wakes. And a quiet minute shows whether the connection is there.
            if ($database->pgsqlGetNotify(PDO::FETCH_ASSOC, 60000))
                while ($database->pgsqlGetNotify(PDO::FETCH_ASSOC));
        }
    } catch (RuntimeException $problem) {
        echo $problem->getMessage(), "\n";
        sleep(1);
    }
}

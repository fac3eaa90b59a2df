<?php
// Ends the streams of each session that ends. PG* variables tell where the database is, STREAMS where the streams.
const ENDED = ['session_displaced', 'session_replaced', 'user_logged_out'];

function end_streams(string $session_id): void
{
    $how = ['http' => ['method' => 'DELETE', 'timeout' => 5, 'ignore_errors' => true]];
    if (@file_get_contents(getenv('STREAMS') . "/$session_id", false, stream_context_create($how)) === false)
        throw new RuntimeException(error_get_last()['message']);
}

while (true) {
    try {
        $database = new PDO('pgsql:application_name=listener');
        $database->exec('LISTEN onesession');
        $missed = $database->prepare("SELECT session_id FROM events WHERE name IN (?, ?, ?)"
            . " AND at > now() - interval '10 minutes'");
        $missed->execute(ENDED);
        array_map('end_streams', $missed->fetchAll(PDO::FETCH_COLUMN));
        while (true) {
            $notification = $database->pgsqlGetNotify(PDO::FETCH_ASSOC, 60000);
            if (!$notification)
                $database->exec('SELECT'); // A quiet minute: is the connection still there?
            elseif (in_array(($event = json_decode($notification['payload']))->name, ENDED))
                end_streams($event->session_id);
        }
    } catch (RuntimeException $problem) {
        echo $problem->getMessage(), "\n";
        sleep(1);
    }
}

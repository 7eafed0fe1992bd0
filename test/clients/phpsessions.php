<?php

// Sessions of PHP in Redis, by phpredis, over a proxy at 127.0.0.1:<port>; prints "ok" at the
// end. A session is locked while a request works on it.
//
// php phpsessions.php PORT            asks, by many processes
// php phpsessions.php PORT ID TIMES   is one of them: so many requests of one session

[, $port] = $argv;
foreach ([
    'session.save_handler' => 'redis',
    'session.save_path' => "tcp://127.0.0.1:$port?timeout=10&read_timeout=20&prefix=SHOP:",
    'session.use_cookies' => '0',
    'session.cache_limiter' => '',
    'session.gc_maxlifetime' => '1000',
    'redis.session.locking_enabled' => '1',
    'redis.session.lock_expire' => '20',
    'redis.session.lock_wait_time' => '2000',
    'redis.session.lock_retries' => '-1',
] as $name => $value) {
    ini_set($name, $value);
}
// A warning is a fault.
set_error_handler(function ($severity, $message, $file, $line) {
    throw new ErrorException($message, 0, $severity, $file, $line);
});

function want($ok, $what)
{
    if (!$ok) {
        throw new Exception($what);
    }
}

// visit does one request of a session, and returns what it holds.
function visit($id, $change)
{
    session_id($id);
    want(session_start(), "no session $id");
    $change();
    $holds = $_SESSION;
    want(session_write_close(), "session $id is not written");

    return $holds;
}

$adds = function () {
    $_SESSION['visits'] = ($_SESSION['visits'] ?? 0) + 1;
};

if (count($argv) > 2) {
    for ($i = 0; $i < $argv[3]; $i++) {
        visit($argv[2], $adds);
    }
    exit;
}

// Four at once work on each of ten sessions.
$running = [];
for ($i = 0; $i < 10; $i++) {
    for ($j = 0; $j < 4; $j++) {
        $running[] = proc_open([PHP_BINARY, __FILE__, $port, "user$i", '10'], [], $pipes);
    }
}
foreach ($running as $process) {
    want(proc_close($process) === 0, 'a process failed');
}
$redis = new Redis();
$redis->connect('127.0.0.1', $port);
for ($i = 0; $i < 10; $i++) {
    $visits = visit("user$i", function () {
    })['visits'];
    want($visits === 40, "user$i has come $visits times, want 40");
    want($redis->ttl("SHOP:user$i") > 900, "the session of user$i does not end");
    want($redis->exists("SHOP:user{$i}_LOCK") === 0, "the session of user$i is still locked");
}

// A login gives the session another name, and a logout ends it.
session_id('user0');
session_start();
want(session_regenerate_id(true), 'no other name');
$id = session_id();
session_write_close();
want($redis->exists('SHOP:user0') === 0, 'the old name is still there');
want(visit($id, $adds)['visits'] === 41, 'the new name has not what the old one had');
session_id($id);
session_start();
want(session_destroy(), 'it is not destroyed');
want($redis->exists("SHOP:$id") === 0, 'it is still there');

// phpredis itself: a transaction, a pipeline, all keys.
$got = $redis->multi()->set('{t}a', '1')->incr('{t}a')->get('{t}a')->exec();
want($got === [true, 2, '2'], 'the transaction: '.json_encode($got));
$pipe = $redis->pipeline();
for ($i = 0; $i < 100; $i++) {
    $pipe->set("key:$i", $i);
}
want(count(array_filter($pipe->exec())) === 100, 'the pipeline');
$redis->setOption(Redis::OPT_SCAN, Redis::SCAN_RETRY);
$found = 0;
$cursor = null;
while ($keys = $redis->scan($cursor, 'key:*')) {
    $found += count($keys);
}
want($found === 100, "SCAN finds $found keys");
echo "ok\n";

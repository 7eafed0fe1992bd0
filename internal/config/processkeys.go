package config

import (
	"slices"
	"time"
)

// processBlock is the top-level name that no pool can have.
const processBlock = "nuthatch"

// processKeys are the keys of the block "nuthatch:".
var processKeys = slices.Concat([]key[Process]{
	{
		name: "include", kind: kindInclude, defNote: "none", origin: fromNuthatch, whole: isInclude, eachFile: true,
		help: "More files of the configuration: paths, and patterns such as `conf.d/*.yml`, whose files are read in the order of " +
			"their names, without hidden ones. A relative path begins at the folder of the file that has the key. An included " +
			"file has pools, and may have a block `nuthatch:`, also with `include`. A pool, and a key of the process, stands in one " +
			"file only. A file that does not exist is a fault; a pattern may match none. At most 1024 files, of 16 MB together, 8 deep. " +
			"See [Several files](#several-files).",
	},
	{
		name: "pool_defaults", kind: kindDefaults, defNote: "none", origin: fromNuthatch, whole: readDefaults,
		help: "Keys of pools, other than `listen` and `servers`, for every pool of all files that does not say otherwise. A " +
			"block such as `health_check` is completed key by key. A list, and blocks by name, such as `users`, are taken " +
			"whole. A default that a pool cannot have (`redis_auth` in a Memcached pool, `acl_file` in one with `users`) is left " +
			"out there. `nuthatch ctl config` says where each value comes from.",
	},
	{
		name: "threads", kind: kindNumber, limits: limits{1, 64}, origin: fromNuthatch,
		defNote: "the CPUs that the process may use, at most 4",
		help: "How many event loops run, each on a thread of its own with its own connections to the servers. New clients " +
			"go to the loop with the fewest.",
		set: func(p *Process, v value) { p.Threads = int(v.number) },
	},
	{
		name: "engine", kind: kindEngine, def: "auto", origin: fromNuthatch,
		help: "What the event loops run on. `io_uring` needs Linux 6.1, and that nothing forbids it, as Docker's and containerd's " +
			"seccomp profiles do; the proxy refuses to start where it cannot be used. `auto` takes `epoll` in this release, and " +
			"the log says whether io_uring can be used, or why not. `nuthatch check engine` shows what is found. A loop's ring " +
			"takes up to 0.7 MB of `max_memory`; nuthatch warns if the rings of all `threads` may take more than a quarter of it. " +
			"See [TUNING.md](TUNING.md#the-engine).",
		set: func(p *Process, v value) { p.Engine = Engine(v.number) },
	},
	{
		name: "watch", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Reloads the configuration when its file changes, also when it is a symbolic link that then points to another " +
			"file, as in a mounted ConfigMap. A faulty file changes nothing, and the log has its faults.",
		set: func(p *Process, v value) { p.Watch = v.flag },
	},
	{
		name: "drain_timeout", kind: kindDuration, limits: anyDuration, def: "30s", origin: fromNuthatch,
		help: "How long clients and connections may take to finish: the clients of a proxy that got SIGTERM, and after a " +
			"reload the connections that are replaced or removed. Requests that have begun to come are answered; idle " +
			"clients are asked to leave at once. `0` ends everything at once, as nutcracker does.",
		set: func(p *Process, v value) { p.DrainTimeout = v.duration() },
	},
	{
		name: "resolve_interval", kind: kindDuration, limits: durations(100*time.Millisecond, 24*time.Hour), def: "5s", origin: fromNuthatch,
		help: "How often the names of servers are looked up again. A connection to an address that the name no longer has " +
			"finishes its requests and is replaced. A server that cannot be connected to, fails, or says `READONLY` is " +
			"looked up at once, at most once a second. All addresses of a name, IPv6 and IPv4, are tried before a " +
			"connection has failed. A name that cannot be looked up keeps its last addresses. A name that has never been " +
			"found does not keep the proxy from starting.",
		set: func(p *Process, v value) { p.ResolveInterval = v.duration() },
	},
	{
		name: "zone", kind: kindZone, defNote: "none", origin: fromNuthatch,
		help: "Where the proxy is, such as `eu-1a`: with a `read_policy` that reads from replicas, those of the same zone go first. See " +
			"[REPLICAS.md](REPLICAS.md#zones).",
		set: func(p *Process, v value) { p.Zone = v.text },
	},
	{
		name: "drain_delay", kind: kindDuration, limits: anyDuration, def: "0", origin: fromNuthatch,
		help: "How long a proxy that got SIGTERM reports that it is not ready, and still serves new clients, before it " +
			"drains. It gives a load balancer time to notice.",
		set: func(p *Process, v value) { p.DrainDelay = v.duration() },
	},
	{
		name: "max_memory", kind: kindSize, limits: limits{32 * mb, 16 * tb}, origin: fromNuthatch,
		defNote: "three quarters of what the process may use",
		help: "The approximate limit of the process's memory; the program itself may add a few megabytes. Near the bound nuthatch " +
			"stops reading from clients, from the largest holders first, until others have got their replies. It closes " +
			"large holders that do not read. A request or a reply larger than an eighth of it is refused. The default is " +
			"three quarters of the control group's limit or, without one, of the machine's memory. See " +
			"[OPERATIONS.md](OPERATIONS.md#memory-and-limits).",
		set: func(p *Process, v value) { p.MaxMemory = v.number },
	},
	{
		name: "core_dumps", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Lets a crash leave a core dump, and other processes of the same user read the proxy's memory " +
			"(`gdb`, `strace`, `/proc/PID/environ`). Otherwise only root can do that, since the memory has " +
			"passwords, tokens, keys of certificates, and clients' data. Go's trace of a crash on standard error " +
			"has none of these.",
		set: func(p *Process, v value) { p.CoreDumps = v.flag },
	},
	{
		name: "tls_handshakes", kind: kindNumber, limits: limits{1, 65536}, def: "1024", origin: fromNuthatch,
		help: "The most TLS handshakes with clients at a time, in all pools together. A client takes a place when its " +
			"first message is whole. Others wait, and begin in the order in which the clients came. While any wait, a " +
			"handshake gives up its place, and its client is closed, once it has waited for that client for a tenth of " +
			"`tls_handshake_timeout` in all. Handshakes get at most an eighth of the memory for clients, so a " +
			"small `max_memory` allows fewer. However many there are, they compute on few processors at a time, so " +
			"that requests go on.",
		set: func(p *Process, v value) { p.TLSHandshakes = int(v.number) },
	},
	{
		name: "tls_handshake_timeout", kind: kindDuration, limits: durations(100*time.Millisecond, 10*time.Minute), def: "10s", origin: fromNuthatch,
		help: "How long a TLS handshake may take, including its wait. A client that takes longer is closed. A " +
			"handshake with a server must also end within `connect_timeout`.",
		set: func(p *Process, v value) { p.TLSHandshakeTimeout = v.duration() },
	},
	{
		name: "tls_ticket_keys_file", kind: kindSecretPath, defNote: "none: the process has its own", origin: fromNuthatch,
		help: "A file with the keys of session tickets, so that clients resume their sessions with any proxy that " +
			"has the same file: one key of 64 hexadecimal digits on each line (`openssl rand -hex 32`), at most " +
			"16. The first key is for new tickets, the others are for older ones. The file is read again when it " +
			"changes. Without it the keys are made by the process, are replaced every day, and survive reloads and " +
			"upgrades.",
		set: func(p *Process, v value) { p.TLSTicketKeysFile = v.text },
	},
	{
		name: "admin", kind: kindAdmin, def: defaultAdmin, origin: fromNuthatch,
		help: "The address of the admin listener: HTTP with the page, the JSON API and the metrics. On a unix socket or " +
			"with a token it also accepts actions. `host:port`, the absolute path of a unix socket (an octal mode may " +
			"follow; `0600` without), or `off`. If the file names no address and the default one is taken, the proxy writes " +
			"a warning to its log and runs without the listener. An address that the file names must be free. An " +
			"address that other hosts can reach needs a token, or `admin_insecure`.",
		set: func(p *Process, v value) { p.Admin = v.address },
	},
	{
		name: "admin_socket", kind: kindAdminSocket, def: adminAuto, origin: fromNuthatch,
		help: "A second admin listener, for actions without a token (`nuthatch ctl reload`, `drain` and the like): the " +
			"absolute path of a unix socket (an octal mode may follow; `0600` without), `auto` or `off`. `auto`: if the " +
			"admin listener is on TCP and has no token, there is a socket that is named after the configuration " +
			"file. It is in the first usable directory of `$RUNTIME_DIRECTORY`, `/run/nuthatch`, " +
			"`$XDG_RUNTIME_DIR/nuthatch` and `/tmp/nuthatch-UID`. `nuthatch ctl` finds it. A path in a directory to " +
			"which every user can write, without the sticky bit, is warned about.",
		set: func(p *Process, v value) { p.AdminSocket = v.address },
	},
	{
		name: "admin_token", kind: kindSecret, defNote: "none", origin: fromNuthatch,
		help: "A token that every action on the admin listener must have (`Authorization: Bearer ...`). On an address that " +
			"other hosts can reach, reading needs it too, except `/healthz`, `/readyz` and the empty page. On a loopback " +
			"address reading needs no token, unless there is an `admin_read_token`. A unix socket needs none: its mode " +
			"says who may connect.",
		set: func(p *Process, v value) { p.AdminToken = Secret(v.text) },
	},
	{
		name: "admin_token_file", kind: kindSecretPath, defNote: "none", origin: fromNuthatch,
		help: "The path of a file with the token, for a mounted secret. It is read at the start and at each reload; white " +
			"space around the token is ignored. With `admin_token` too, either token is accepted, so that one can " +
			"replace the other.",
		set: func(p *Process, v value) { p.AdminTokenFile = v.text },
	},
	{
		name: "admin_token_env", kind: kindVariable, defNote: "none", origin: fromNuthatch,
		help: "The name of an environment variable with the token. It is read at the start. With `admin_token` or " +
			"`admin_token_file` too, any of the tokens is accepted.",
		set: func(p *Process, v value) { p.AdminTokenEnv = v.text },
	},
	{
		name: "admin_read_token", kind: kindSecret, defNote: "none", origin: fromNuthatch,
		help: "A token for reading alone, as for Prometheus and dashboards: with it a request may read everything that " +
			"the admin listener has, and is refused as an action. If it is set, reading needs this token or " +
			"`admin_token`, on a loopback address too. A unix socket needs none.",
		set: func(p *Process, v value) { p.AdminReadToken = Secret(v.text) },
	},
	{
		name: "admin_read_token_file", kind: kindSecretPath, defNote: "none", origin: fromNuthatch,
		help: "The path of a file with a token for reading. It is read at the start and at each reload; white space around " +
			"the token is ignored. With `admin_read_token` too, either token is accepted.",
		set: func(p *Process, v value) { p.AdminReadTokenFile = v.text },
	},
	{
		name: "admin_read_token_env", kind: kindVariable, defNote: "none", origin: fromNuthatch,
		help: "The name of an environment variable with a token for reading. It is read at the start.",
		set:  func(p *Process, v value) { p.AdminReadTokenEnv = v.text },
	},
	{
		name: "admin_insecure", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Allows an admin listener that other hosts can reach without a token, and actions without a token on any " +
			"address. Everybody who reaches it can then read everything, reload, drain and upgrade the proxy, and close " +
			"its clients.",
		set: func(p *Process, v value) { p.AdminInsecure = v.flag },
	},
}, within("admin_tls", func(p *Process) *TLS { return &p.AdminTLS }, adminTLSKeys), []key[Process]{
	{
		name: "admin_pprof", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Adds the profiles of Go's `net/http/pprof` to the admin listener, under `/debug/pprof/`.",
		set:  func(p *Process, v value) { p.AdminPprof = v.flag },
	},
	{
		name: "metrics_old_names", kind: kindBool, def: "true", origin: fromNuthatch,
		help: "Exposes renamed metrics under their old names too, so that dashboards and alerts keep working while they " +
			"are changed. [METRICS.md](METRICS.md#renamed-metrics) has the table. The next release has no old names, and " +
			"ignores the key. With `false` a scrape is about a third smaller: set it once nothing uses an old name.",
		set: func(p *Process, v value) { p.MetricsOldNames = v.flag },
	},
	{
		name: "ready_servers", kind: kindPercent, limits: limits{0, 100}, def: "0", origin: fromNuthatch,
		help: "How many of each pool's servers, in percent, must be up for `/readyz` to say that the proxy is ready. With `0` " +
			"the state of the servers does not matter: all proxies in front of the same servers see the same " +
			"failures, and taking all proxies out of service helps no client.",
		set: func(p *Process, v value) { p.ReadyServers = int(v.number) },
	},
	{
		name: "log_format", kind: kindLogFormat, def: "text", origin: fromNuthatch,
		help: "The form of log lines. `text` is nutcracker's. `json` is one JSON object per line, with `time`, `level`, " +
			"`source`, `msg`, and a member for each attribute, such as `pool`, `server`, `client`, `reason`.",
		set: func(p *Process, v value) { p.LogFormat = LogFormat(v.number) },
	},
	{
		name: "latency", kind: kindBool, def: "true", origin: fromNuthatch,
		help: "Measures how long requests take: for clients, by pool and command; at servers, by server and kind of " +
			"command. It costs less than 1% of the processor time. `false` saves that, and the memory of the histograms. " +
			"Each event loop has a histogram for each command in use of a " +
			"pool, and for each kind of command in use of a server; a histogram takes 3 KB typically, and at most 11 KB.",
		set: func(p *Process, v value) { p.Latency = v.flag },
	},
	{
		name: "slowlog_slower_than", kind: kindDuration, limits: anyDuration, def: "10ms", origin: fromNuthatch,
		help: "A request that takes at least this long is kept in the slow log, with where the time went. The time counts " +
			"from when the request is taken from its client until its reply can be sent. See " +
			"[OPERATIONS.md](OPERATIONS.md#the-slow-log). `0` keeps every request.",
		set: func(p *Process, v value) { p.SlowlogSlowerThan = v.duration() },
	},
	{
		name: "slowlog_max_len", kind: kindNumber, limits: limits{0, 1 << 16}, def: "128", origin: fromNuthatch,
		help: "How many requests the slow log of each pool keeps; the latest are kept. `0` turns it off.",
		set:  func(p *Process, v value) { p.SlowlogMaxLen = int(v.number) },
	},
	{
		name: "slowlog_keys", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Keeps the first 128 bytes of a request's first key in the slow log. Without it the slow log has commands " +
			"and sizes, but no keys. Values are never kept.",
		set: func(p *Process, v value) { p.SlowlogKeys = v.flag },
	},
	{
		name: "history_memory", kind: kindSize, limits: limits{0, 1 << 30}, def: "16mb", origin: fromNuthatch,
		help: "How much memory the history may take: what the process and each pool did in each second of the last hour, and " +
			"each server in each ten seconds. When it is full, the oldest goes first. An hour takes about 150 KB for the process, " +
			"the same for each pool, and 10 KB for each server. At most an eighth of `max_memory` is used. The page, `ctl` and " +
			"`top` show it, and an upgrade hands it over. `0` keeps none, and `ctl` and `top` know the last ten seconds alone. See " +
			"[OPERATIONS.md](OPERATIONS.md#history).",
		set: func(p *Process, v value) { p.HistoryMemory = v.number },
	},
	{
		name: "turn_times", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Measures the processor time of each turn of the event loops. The statistic `longest_turn` is the longest of " +
			"them: the longest delay of a client by the proxy itself. It costs two system calls in each turn.",
		set: func(p *Process, v value) { p.TurnTimes = v.flag },
	},
	{
		name: "hotkeys", kind: kindBool, def: "true", origin: fromNuthatch,
		help: "Samples about a thousand requests a second, to find the most requested keys of each pool, and the largest " +
			"requests and replies. Only the admin listener shows them; no metric does.",
		set: func(p *Process, v value) { p.HotKeys = v.flag },
	},
}, within("tracing", func(p *Process) *Tracing { return &p.Tracing }, tracingKeys))

package config

import "time"

// processBlock is the top-level name that no pool can have.
const processBlock = "nuthatch"

// processKeys are the keys of the block "nuthatch:".
var processKeys = []key[Process]{
	{
		name: "threads", kind: kindNumber, limits: limits{1, 64}, origin: fromNuthatch,
		defNote: "the CPUs that the process may use, at most 4",
		help: "How many event loops run, each on a thread of its own with its own connections to the servers. Clients are dealt to " +
			"them evenly.",
		set: func(p *Process, v value) { p.Threads = int(v.number) },
	},
	{
		name: "watch", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Reloads the configuration when its file changes, also when it is a symbolic link that is pointed elsewhere, as in a " +
			"mounted ConfigMap. A file that is at fault changes nothing, and the log tells its faults.",
		set: func(p *Process, v value) { p.Watch = v.flag },
	},
	{
		name: "drain_timeout", kind: kindDuration, limits: anyDuration, def: "30s", origin: fromNuthatch,
		help: "How long what is to end may take to finish: the clients of a proxy that got SIGTERM, and after a reload the " +
			"connections that are no longer wanted. Requests that have begun to come are answered; idle clients are told to " +
			"leave at once. `0` ends everything at once, as nutcracker does.",
		set: func(p *Process, v value) { p.DrainTimeout = v.duration() },
	},
	{
		name: "resolve_interval", kind: kindDuration, limits: durations(100*time.Millisecond, 24*time.Hour), def: "5s", origin: fromNuthatch,
		help: "How often the names of servers are looked up again. Connections to addresses that a name does not have any " +
			"more finish what they owe and are replaced. A server that cannot be connected to, fails or says `READONLY` is looked up " +
			"at once, at most once in a second. All of a name's addresses are tried, IPv6 and IPv4, before a connection has failed. A name that cannot be looked up keeps the " +
			"addresses that it had; one that never could does not keep the proxy from starting.",
		set: func(p *Process, v value) { p.ResolveInterval = v.duration() },
	},
	{
		name: "drain_delay", kind: kindDuration, limits: anyDuration, def: "0", origin: fromNuthatch,
		help: "How long a proxy that got SIGTERM says that it is not ready, and still serves new clients, before it drains: time " +
			"for a load balancer to notice.",
		set: func(p *Process, v value) { p.DrainDelay = v.duration() },
	},
	{
		name: "max_memory", kind: kindSize, limits: limits{32 * mb, 16 * tb}, origin: fromNuthatch,
		defNote: "three quarters of what the process may use",
		help: "The most memory of the process, about: what is resident may be a few megabytes more, for the program itself. Near it " +
			"clients are not read from, those that hold the most first, until others have got their replies; who then holds the most " +
			"and does not read is closed. A request, or a reply, that is larger than an eighth of it is refused. What the process may use is the limit of " +
			"its control group, or the machine's memory. See [OPERATIONS.md](OPERATIONS.md#memory-and-limits).",
		set: func(p *Process, v value) { p.MaxMemory = v.number },
	},
	{
		name: "admin", kind: kindAdmin, def: defaultAdmin, origin: fromNuthatch,
		help: "Where the admin listener is: HTTP with the page, the JSON API and the metrics, and, on a unix socket or with a token, actions. " +
			"`host:port`, the absolute path of a unix socket (with an octal mode after it; `0600` without), or `off`. " +
			"If the file does not name an address and the default one is taken, by another nuthatch on the same host, the proxy " +
			"says so in its log and runs without; an address that the file names must be free. An address that other hosts can " +
			"reach needs a token, or `admin_insecure`.",
		set: func(p *Process, v value) { p.Admin = v.address },
	},
	{
		name: "admin_socket", kind: kindAdminSocket, def: adminAuto, origin: fromNuthatch,
		help: "A second admin listener, for actions without a token (`nuthatch ctl reload`, `drain` and the like): the absolute path of a unix " +
			"socket, with an octal mode after it (`0600` without), `auto` or `off`. `auto`: if the admin listener is on TCP and asks for no token, " +
			"a socket that is named after the configuration file, in `$RUNTIME_DIRECTORY`, `/run/nuthatch`, `$XDG_RUNTIME_DIR/nuthatch` " +
			"or `/tmp/nuthatch-UID`, the first that can be used. `nuthatch ctl` finds it.",
		set: func(p *Process, v value) { p.AdminSocket = v.address },
	},
	{
		name: "admin_token", kind: kindSecret, defNote: "none", origin: fromNuthatch,
		help: "A token that every request to the admin listener must bear (`Authorization: Bearer ...`), but for `/healthz`, " +
			"`/readyz` and the empty page. On a unix socket it is not asked for: the socket's mode says who may connect.",
		set: func(p *Process, v value) { p.AdminToken = Secret(v.text) },
	},
	{
		name: "admin_token_file", kind: kindPath, defNote: "none", origin: fromNuthatch,
		help: "The path of a file that holds the token, for a secret that is mounted. It is read at the start and at each reload; " +
			"white space around the token does not count. With `admin_token` too, either is taken, so that one can follow the other.",
		set: func(p *Process, v value) { p.AdminTokenFile = v.text },
	},
	{
		name: "admin_insecure", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Consents to an admin listener that other hosts can reach and that asks for no token, and to actions without one on any " +
			"address: whoever reaches it sees everything, and can reload, drain and upgrade the proxy and kill its clients.",
		set: func(p *Process, v value) { p.AdminInsecure = v.flag },
	},
	{
		name: "admin_pprof", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Adds the profiles of Go's `net/http/pprof` to the admin listener, under `/debug/pprof/`.",
		set:  func(p *Process, v value) { p.AdminPprof = v.flag },
	},
	{
		name: "metrics_old_names", kind: kindBool, def: "true", origin: fromNuthatch,
		help: "Exposes the metrics that have been renamed under their old names too, so that dashboards and alerts go on while they " +
			"are moved to the new names. [METRICS.md](METRICS.md#renamed-metrics) has the table. The old names are gone in the next release, " +
			"and the key then does nothing. With `false` a scrape is about a third smaller: set it once nothing asks for an old name.",
		set: func(p *Process, v value) { p.MetricsOldNames = v.flag },
	},
	{
		name: "ready_servers", kind: kindPercent, limits: limits{0, 100}, def: "0", origin: fromNuthatch,
		help: "How much of each pool, in percent of its servers, must be up for `/readyz` to say that the proxy is ready. With `0` " +
			"servers do not count: every proxy in front of the same servers sees the same of them, and to take all proxies out " +
			"of service helps no client.",
		set: func(p *Process, v value) { p.ReadyServers = int(v.number) },
	},
	{
		name: "log_format", kind: kindLogFormat, def: "text", origin: fromNuthatch,
		help: "The form of the log's lines: `text` is nutcracker's, `json` is one JSON object per line, with `time`, `level`, `source`, " +
			"`msg`, and one more member for each thing that the line tells: `pool`, `server`, `client`, `reason`.",
		set: func(p *Process, v value) { p.LogFormat = LogFormat(v.number) },
	},
	{
		name: "latency", kind: kindBool, def: "true", origin: fromNuthatch,
		help: "Measures how long requests take: for clients, by pool and command, and at the servers, by server and kind of " +
			"command. It costs less than 1% of the processor time; `false` saves that, and the memory of the histograms, typically 3 KB " +
			"for each event loop and each command of a pool and each kind of command of a server that is used, at most 11 KB.",
		set: func(p *Process, v value) { p.Latency = v.flag },
	},
	{
		name: "slowlog_slower_than", kind: kindDuration, limits: anyDuration, def: "10ms", origin: fromNuthatch,
		help: "A request that takes at least as long, from when it is taken from its client until its reply can go out, is kept in " +
			"the slow log, with where the time went. See `SLOWLOG` in [OPERATIONS.md](OPERATIONS.md#the-slow-log). `0` keeps every request.",
		set: func(p *Process, v value) { p.SlowlogSlowerThan = v.duration() },
	},
	{
		name: "slowlog_max_len", kind: kindNumber, limits: limits{0, 1 << 16}, def: "128", origin: fromNuthatch,
		help: "How many requests the slow log of each pool keeps, the latest of them; `0` turns it off.",
		set:  func(p *Process, v value) { p.SlowlogMaxLen = int(v.number) },
	},
	{
		name: "slowlog_keys", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Keeps the first 128 bytes of a request's first key in the slow log. Without it the slow log tells commands and sizes, " +
			"and no keys. Values are never kept.",
		set: func(p *Process, v value) { p.SlowlogKeys = v.flag },
	},
	{
		name: "turn_times", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Measures the processor time of each turn of the event loops: `longest_turn` in the statistics is the most that one has " +
			"taken, and so the most that the proxy itself has kept a client waiting. It costs two system calls in each turn.",
		set: func(p *Process, v value) { p.TurnTimes = v.flag },
	},
	{
		name: "hotkeys", kind: kindBool, def: "true", origin: fromNuthatch,
		help: "Looks at a sample of the requests, about a thousand a second, to find each pool's keys that are asked for most, and " +
			"the largest requests and replies. They are shown to operators only, and in no metric.",
		set: func(p *Process, v value) { p.HotKeys = v.flag },
	},
}

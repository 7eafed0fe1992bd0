package top

// A view is what fills the screen below the lines that tell of the whole proxy.
type view int

const (
	viewServers view = iota
	viewTime
	viewFailures
	viewKeys
	viewSlow
	viewClients
	viewFindings
	// viewSentinels is there if a pool has sentinels.
	viewSentinels
	viewCount
)

const (
	infoPath    = "/api/v1/info"
	poolsPath   = "/api/v1/pools"
	keysPath    = "/api/v1/hotkeys"
	slowPath    = "/api/v1/slowlog"
	clientsPath = "/api/v1/clients"
	historyPath = "/api/v1/history"
	lookPath    = "/api/v1/findings"
)

// views are what they are called, and what they ask beside infoPath.
var views = [viewCount]struct{ name, path string }{
	{"servers", poolsPath},
	{"over time", poolsPath},
	{"failures", poolsPath},
	{"keys", keysPath},
	{"slow log", slowPath},
	{"clients", clientsPath},
	{"findings", lookPath},
	{"sentinels", poolsPath},
}

// windows are what rates and times can be of.
var windows = []string{"10s", "1m", "10m"}

// A question is asked of the proxy beside infoPath. Its pool is empty for all. Its window is
// what rates and times are of, for pools alone; empty for the first of windows.
type question struct{ path, pool, window string }

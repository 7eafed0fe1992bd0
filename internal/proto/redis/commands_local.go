package redis

// answer is who answers a Local request.
type answer uint8

const (
	answerNone answer = iota
	answerACL
	answerAuth
	answerClient
	answerCluster
	answerEmulated
	answerMyID
	answerCommand
	answerConfig
	answerDiscard
	answerEcho
	answerExec
	answerHello
	answerHelp
	answerInfo
	answerLastSave
	answerLatency
	answerLolwut
	answerMulti
	answerPause
	answerPing
	answerQuit
	answerReset
	answerRole
	answerSelect
	answerSlowlog
	answerTime
	answerUnwatch
	answerWatch
	answerHTTP
)

// Why a command is not supported: what forbids it is that servers are shared by
// clients, or data by servers. Users read these behind "it".
const (
	unknownCommand    = "unknown command"
	unknownSubcommand = "unknown subcommand"
	ownConnection     = "it needs a connection of its own"
	everyServer       = "it concerns every server"
	noServer          = "it does not say which server to ask"
	oneServer         = "it is about one server; ask that server itself"
	sharedServer      = "it changes or stops a server that other clients share; tell that server itself"
	clusterOnly       = "it is for the nodes of a Redis Cluster; send it to a node itself"
	notEmulated       = "the pool looks like one server, not like a Redis Cluster; let the client connect without cluster mode, or set emulate for the pool"
	otherServer       = "it makes a server talk to another one"
	usersInFile       = "users are in the pool's acl_file or users; change them there, and reload"
	usersAtServers    = "users are the servers' own; change them at each server" // with auth_mode: passthrough
	noFlush           = "the pool's allow_flush is off"
	noMonitor         = "the pool's allow_monitor is off"
	noAdmin           = "the pool's allow_admin is off"
	transactionsOff   = "the pool has transactions: refuse"
)

// strayCommands are words that are no commands. A browser that was made to POST
// to a Redis port speaks in inline commands. As Redis does, it is cut off at the
// first that no HTTP request lacks.
var strayCommands = []command{
	quit("post", -1, answerHTTP, "", ""),
	quit("host:", -1, answerHTTP, "", ""),
}

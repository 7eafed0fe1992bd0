package redis

// What a client says about its connection.

var connectionCommands = group("connection", []command{
	local("auth", -2, answerAuth, "1.0.0", "Say the password"),
	local("client", -2, answerClient, "2.4.0", "About this connection and the others"),
	local("client|caching", 3, answerClient, "6.0.0", "Say whether the next reads are tracked"),
	local("client|capa", -3, answerClient, "8.0.0", "Say what this client can do (Valkey)"),
	local("client|getname", 2, answerClient, "2.6.9", "The connection's name"),
	local("client|getredir", 2, answerClient, "6.0.0", "Where notes about tracked keys go"),
	help("client|help", "5.0.0"),
	local("client|id", 2, answerClient, "5.0.0", "The connection's number"),
	refuse("client|import-source", 3, sharedServer, "8.1.0", "Say that this client imports keys (Valkey)"),
	gather("client|info", 2, "6.2.0", "This connection"),
	gather("client|kill", -3, "2.4.0", "Close connections"),
	gather("client|list", -2, "2.4.0", "The connections of clients"),
	local("client|no-evict", 3, answerClient, "7.0.0", "Ask not to be closed for want of memory"),
	local("client|no-touch", 3, answerClient, "7.2.0", "Ask that reads do not count as use"),
	pause("client|pause", -3, "3.0.0", "Make the requests of all clients of the pool wait"),
	local("client|reply", 3, answerClient, "3.2.0", "Say whether replies are wanted"),
	local("client|setinfo", 4, answerClient, "7.2.0", "Say which library this client uses"),
	local("client|setname", 3, answerClient, "2.6.9", "Name the connection"),
	track("client|tracking", -3, "6.0.0", "Ask for notes about keys that change"),
	local("client|trackinginfo", 2, answerClient, "6.2.0", "What is tracked"),
	gather("client|unblock", -3, "5.0.0", "Wake a client that waits"),
	pause("client|unpause", 2, "6.2.0", "Let them go on"),
	local("echo", 2, answerEcho, "1.0.0", "The word that was sent"),
	local("hello", -1, answerHello, "6.0.0", "Agree on a protocol, with a password and a name if given"),
	local("ping", -1, answerPing, "1.0.0", "PONG, or the word that was sent"),
	quit("quit", -1, answerQuit, "1.0.0", "End the connection"),
	local("reset", 1, answerReset, "6.2.0", "Make the connection as new"),
	local("select", 2, answerSelect, "1.0.0", "Choose a database"),
})

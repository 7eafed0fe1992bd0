package ctl

// A guide is what a command's own help says: what it does and what follows, which of ctl's options
// it takes besides --help and --json, and an example.
type guide struct {
	about, example string
	options        []string
}

// Guide is what the command's own help says.
func (c *Command) Guide() (about, example string, options []string) {
	g := guides[c.Name]
	return g.about, g.example, g.options
}

// guides are those of Commands, by name.
var guides = map[string]guide{
	"status": {
		"Says in words what needs a look: servers that fail, do not answer or are slow, error replies, bounds that are nearly reached. Of much it lists what fails requests first, and something of each pool; --limit lists more. Below stand the last events. The exit status is 1 if requests fail, so that scripts can ask.",
		"nuthatch ctl status --window 1m",
		[]string{"pool", "window", "limit"},
	},
	"info": {
		"Shows the program and its version, its process, how much memory, descriptors and clients it has and may have, and what each event loop does.",
		"nuthatch ctl info", nil,
	},
	"stats": {
		"Shows each pool in a line: clients, requests a second, failures, and how long requests take, within the window.",
		"nuthatch ctl stats --window 10m",
		[]string{"pool", "window"},
	},
	"servers": {
		"Shows each server in a line: its state, why it is not up, its part of the keys, requests a second, times and queues, within the window.",
		"nuthatch ctl servers alpha",
		[]string{"pool", "window"},
	},
	"cluster": {
		"Shows what is known of the Redis Clusters, sentinels and replicas behind the pools (how far behind these are, and why they are not read from), and, of pools with emulate, what clients are told: nodes, slots, primaries, peers.",
		"nuthatch ctl cluster alpha",
		[]string{"pool"},
	},
	"clients": {
		"Shows the newest clients with their ids, addresses, names and users, what they asked for last, and how much memory they hold. kill closes one by its id.",
		"nuthatch ctl clients alpha --limit 50",
		[]string{"pool", "limit"},
	},
	"latency": {
		"Shows how long the requests of clients took since the start, by command: how many there were, the median, and the slowest.",
		"nuthatch ctl latency alpha",
		[]string{"pool"},
	},
	"slowlog": {
		"Shows the latest requests that took longer than nuthatch.slowlog_slower_than, and where their time went: waiting for a connection, to be sent, for the server, and for earlier replies of the same client.",
		"nuthatch ctl slowlog alpha --limit 20",
		[]string{"pool", "limit"},
	},
	"hotkeys": {
		"Shows the keys that are asked for most, with their servers, and the largest requests and replies of the last hour. Requests are sampled: rates are close, not exact.",
		"nuthatch ctl hotkeys alpha --limit 10",
		[]string{"pool", "limit"},
	},
	"denials": {
		"Shows what clients were refused, the latest first: commands and keys by users' rules, addresses by allow_from and deny_from, and what is beyond limits.",
		"nuthatch ctl denials alpha",
		[]string{"pool"},
	},
	"events": {
		"Lists what has happened, the latest last: starts and reloads, servers that fail, are slow and are well again, pauses. Each event has an id: --since continues behind one that was seen.",
		"nuthatch ctl events --since 120",
		[]string{"pool", "limit", "since"},
	},
	"where": {
		"Says for each key which server has it now, and why: its hash, its hash tag, and the servers that are left out. The key need not exist, and no server is asked.",
		"nuthatch ctl where user:17 user:18 --pool alpha",
		[]string{"pool"},
	},
	"config": {
		"Shows the configuration in force, with defaults, and where each value was written. Secrets are left out.",
		"nuthatch ctl config", nil,
	},
	"ready": {
		"Says whether load balancers should send clients here, and why not. The exit status is 1 if not. /readyz says the same.",
		"nuthatch ctl ready", nil,
	},
	"preview": {
		"Compares a configuration with the one in force, and changes nothing: which keys of the file have other values, and which part of the keys would go to other servers. The exit status is 2 if keys would move without need.",
		"nuthatch ctl preview new.yml", nil,
	},
	"reload": {
		"Has the proxy read its configuration again, and says what has changed. If the file has a fault, nothing changes, and the faults are listed. Clients stay connected.",
		"nuthatch ctl reload", nil,
	},
	"drain": {
		"Ends the proxy gently: it accepts no more clients, answers the requests that have come, and ends when the last client has gone, after drain_timeout at the latest. With --wait the command returns then.",
		"nuthatch ctl drain --wait",
		[]string{"wait"},
	},
	"upgrade": {
		"Starts the program that is now in the place of the running one, and hands listeners over to it. The old one answers what has come, and ends. If the new one does not start, the old one goes on.",
		"nuthatch ctl upgrade", nil,
	},
	"pause": {
		"Makes the requests of a pool wait in the proxy, during a failover or while servers are moved. The command returns when none is in flight. The pause ends with resume, or by itself after --for.",
		"nuthatch ctl pause alpha --for 10s",
		[]string{"for"},
	},
	"resume": {
		"Ends a pause: the requests that wait go on, in their order.",
		"nuthatch ctl resume alpha", nil,
	},
	"disable": {
		"Takes a server out of service until enable, or until the program starts anew; a reload does not end it. With --keys move the other servers get its keys, with --keys fail requests for them fail.",
		"nuthatch ctl disable alpha s3 --keys fail",
		[]string{"keys"},
	},
	"enable": {
		"Puts a server that was disabled back into service. It gets its keys again.",
		"nuthatch ctl enable alpha s3", nil,
	},
	"reconnect": {
		"Replaces the connections to all servers of a pool, or to one, such as after a change of a password or of DNS. Requests that are in flight are answered on the old ones.",
		"nuthatch ctl reconnect alpha s3", nil,
	},
	"kill": {
		"Closes clients at once, by the ids that clients shows. What they have asked for is given up.",
		"nuthatch ctl kill 4711", nil,
	},
}

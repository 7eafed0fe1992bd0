package findings

import (
	"nuthatch/internal/admin/api"
	"nuthatch/internal/events"
)

// The kinds of findings.
const (
	draining           = "draining"
	notReady           = "not_ready"
	reloadRefused      = "reload_refused"
	memory             = "memory"
	clients            = "clients"
	descriptors        = "descriptors"
	poolPaused         = "pool_paused"
	noServer           = "no_server"
	failedRequests     = "failed_requests"
	certificate        = "certificate"
	clientProtocol     = "client_protocol"
	clientLogins       = "client_logins"
	clientStrangers    = "client_strangers"
	serverState        = "server_state"
	serverFlaps        = "server_flaps"
	serverErrors       = "server_errors"
	serverSlow         = "server_slow"
	serverSilent       = "server_silent"
	privateConnections = "private_connections"
	clusterMap         = "cluster_map"
	clusterSeed        = "cluster_seed"
	sentinel           = "sentinel"
	peer               = "peer"
	replicas           = "replicas"
)

// Kinds is the table: the word in the badge, and what it means and what to do. API and
// documentation are made of it.
var Kinds = []api.Explained{
	{Name: noServer, Text: "no server", Help: "No server of the pool is up, or tried. Each request for a key is answered with an error. Look at the servers and at the network between them and this host."},
	{Name: clusterMap, Text: "cluster", Help: "No node of the cluster answers, slots have no primary, nodes refuse requests (cluster_state:fail), or they belong to several clusters. What was known before stays in use. redis-cli --cluster check tells more, and so does nuthatch ctl cluster."},
	{Name: clusterSeed, Text: "seed", Help: "A server of the configuration, by which the cluster is to be found, does not answer or is no node of it. Other nodes are asked. Name another one in servers."},
	{Name: sentinel, Text: "sentinel", Help: "A sentinel does not answer or knows no such primary, or sentinels name different addresses: the one by the newest epoch is in use, unless only one sentinel names it and the primary of the others says that it still is one. For a moment that is so at every failover. If it stays, one of them is behind, cut off, belongs to others, or makes things up. nuthatch ctl cluster shows what each has said, nuthatch check asks them all."},
	{Name: peer, Text: "peer", Help: "Another proxy with this pool, which emulate: peers names, does not answer or is none. Clients are not told of it, and the others have its slots. Start it, let this proxy in there, or take its address out of the list. nuthatch ctl cluster shows all peers."},
	{Name: replicas, Text: "replicas", Help: "read_policy sends reads to replicas, and none of a primary may be read from: each loads its data, is silent, is too far behind, has no connection to its primary, or is not up. With replica such reads fail, else they go to the primary. INFO replication at the replica says more, and nuthatch ctl cluster shows all of them."},
	{Name: failedRequests, Text: "failing", Help: "The proxy answered requests with errors of its own in the window. The reasons are counted by name: see failed requests by reason."},
	{Name: clientProtocol, Text: "protocol", Help: "Clients sent bytes that are no requests of the pool's protocol, and were closed. Do they connect to the wrong port, or has the pool the wrong protocol (redis: true or false)? Do they speak TLS, and the port does not? The log says what they sent."},
	{Name: clientLogins, Text: "logins", Help: "Clients say a name or a password that the pool does not have, and their requests are refused until they log in. Has the password been changed, here or at the clients? nuthatch ctl denials shows who was refused, with the address of one client."},
	{Name: clientStrangers, Text: "no login", Help: "The pool wants a password (redis_auth, users), and clients send requests without AUTH or HELLO. Has it got a password that its clients were not told? Each client without a login gets NOAUTH. PING alone, which health checks of load balancers send, does not count. nuthatch ctl clients shows who is connected."},
	{Name: serverState, Text: "state", Help: "The server is not up. failing: it fails, and requests are still sent to it. ejected: it failed too often and is left out. probing: it was ejected and is tried again. disabled: an operator took it out of service."},
	{Name: serverFlaps, Text: "flaps", Help: "The server has failed three times or more in the last minute, and answered in between: it crashes and is started again, or the network to it comes and goes. Look at its log, and at what starts it."},
	{Name: serverSilent, Text: "silent", Help: "Requests wait for the server, and it has sent nothing for two seconds or longer: does it hang, is it stopped, or busy with a slow command or script? Without timeout and request_timeout its clients wait as long. Look at its process and its host."},
	{Name: serverErrors, Text: "errors", Help: "The server answers, and some of its replies are errors. Those that are about the server, such as OOM, are red."},
	{Name: serverSlow, Text: "slow", Help: "Half of the requests, or of the reads or the writes alone, each of a few, or one in a hundred of many takes at this server five times as long as with the others of its pool or, if these have no requests, eight times as long as in the minutes before. Differences of a few milliseconds do not count, nor does what large values take. Look at its load, its slow log and its host. The slow log here shows where the time goes."},
	{Name: privateConnections, Text: "private", Help: "Clients have nearly as many connections to the server to themselves as private_connections allows, for WATCH, commands that block, and channels. More are refused."},
	{Name: memory, Text: "memory", Help: "The proxy holds much for clients: requests, and replies that clients do not read. Above the soft mark clients wait, above the hard mark hardly any is read from. nuthatch ctl clients shows who holds how much."},
	{Name: clients, Text: "clients", Help: "Nearly as many clients are connected as may be; more are refused. Do clients leak connections? Otherwise raise the bound that the text names."},
	{Name: descriptors, Text: "descriptors", Help: "The process has few file descriptors left. Without one it can accept no client and connect to no server. Raise ulimit -n or LimitNOFILE=."},
	{Name: certificate, Text: "certificate", Help: "A certificate that the proxy shows its clients, servers or sentinels ends soon, or has ended: they then refuse to connect. Or so do those in client_ca or ca, which sign the certificates of clients and servers: these are then refused. Or files cannot be used. Put a new one in its place; the proxy reads it by itself."},
	{Name: reloadRefused, Text: "reload refused", Help: "The configuration was to be read again and has faults. The one before stays in force. nuthatch -t -c FILE lists all faults."},
	{Name: notReady, Text: "not ready", Help: "/readyz answers 503, so that load balancers send no clients here."},
	{Name: draining, Text: "draining", Help: "The proxy was told to end. It answers the requests that have come, and accepts no clients."},
	{Name: poolPaused, Text: "paused", Help: "An operator has paused the pool: its requests wait. nuthatch ctl resume POOL ends it."},
}

// kind is the row of that name.
func kind(name string) *api.Explained {
	for i := range Kinds {
		if Kinds[i].Name == name {
			return &Kinds[i]
		}
	}
	return &api.Explained{Name: name, Text: name}
}

// Logged reports whether the log has lines of its own about what is found: when it begins,
// and when it is over.
func Logged(f *api.Finding) bool {
	switch f.Kind {
	case serverState, reloadRefused, draining, poolPaused, failedRequests:
		return true
	}
	return false
}

// Settles reports whether the log waits until something was found for a whole window: sentinels
// do not agree during a failover.
func Settles(f *api.Finding) bool { return f.Kind == sentinel }

// Ends reports whether what is found is over as soon as it is not found: it does not come and go.
func Ends(f *api.Finding) bool { return f.Kind == serverSlow }

// Lingers reports whether it is found for as long as the window has a sign of it.
func Lingers(f *api.Finding) bool {
	switch f.Kind {
	case clientProtocol, clientLogins, clientStrangers, serverErrors:
		return true
	}
	return false
}

// Events are the events of the beginning and the end of what is found; ok is false if it has
// others, or none.
func Events(f *api.Finding) (begin, end events.Kind, ok bool) {
	switch f.Kind {
	case serverSlow:
		return events.ServerSlow, events.ServerSlowOver, true
	case serverErrors:
		return events.ServerErrors, events.ServerErrorsOver, f.Fails
	case noServer:
		return events.NoServer, events.NoServerOver, true
	}
	return 0, 0, false
}

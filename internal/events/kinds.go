package events

// A Kind is what an event says has happened.
type Kind uint8

// The kinds, in the order of the documentation.
const (
	Started Kind = iota
	Reloaded
	ReloadRefused
	UpgradeBegun
	UpgradeGivenUp
	Upgraded
	Draining
	PoolPaused
	PoolResumed
	ServerFails
	ServerEjected
	ServerCause
	ServerTried
	ServerAnswers
	ServerSlow
	ServerSlowOver
	ServerErrors
	ServerErrorsOver
	NoServer
	NoServerOver
	ServerDisabled
	ServerEnabled
	NameUnresolved
	AddressesChanged
	ClientsRefused
	ClientsCut
	AdminMissing
	CertificatesChanged
	CertificatesRefused
	AddressesRefused
	UsersChanged
	LimitReached
	PrimaryChanged
	PrimaryLost
	PrimaryFound
	SentinelFails
	SentinelAnswers
	SentinelDoubted
	NodeAdded
	NodeGone
	RoleChanged
	ClusterFails
	ClusterWhole
	SeedFails
	SeedAnswers
	PeerLives
	PeerGone
	ReplicaUnfit
	ReplicaFit
	// NumKinds is how many there are.
	NumKinds
)

// A Severity says what a kind of event means for requests.
type Severity uint8

const (
	// Notice means that no request fails for it.
	Notice Severity = iota
	// Failure means that requests fail for it, or clients are turned away.
	Failure
)

// String is the severity as the API has it.
func (s Severity) String() string {
	if s == Failure {
		return "failure"
	}
	return "notice"
}

// A row is what is known of a kind.
type row struct {
	name     string
	severity Severity
	help     string
}

// kinds is the table: API, ctl, metric and documentation are made of it.
var kinds = [NumKinds]row{
	Started:          {"started", Notice, "the program has started, and all pools listen"},
	Reloaded:         {"reloaded", Notice, "a configuration was read again and is in force"},
	ReloadRefused:    {"reload_refused", Notice, "a configuration was refused, and the old one stays in force; the text has the first fault"},
	UpgradeBegun:     {"upgrade_begun", Notice, "the new program is started, to take over"},
	UpgradeGivenUp:   {"upgrade_given_up", Notice, "the new program did not take over, and this one goes on"},
	Upgraded:         {"upgraded", Notice, "the new program has taken over, and this one drains"},
	Draining:         {"draining", Notice, "the proxy was told to end: it answers the requests that have come, and accepts no more"},
	PoolPaused:       {"pool_paused", Notice, "the pool's requests wait; the event says how long at the most"},
	PoolResumed:      {"pool_resumed", Notice, "the pool's requests go on; the event says how long they waited"},
	ServerFails:      {"server_fails", Failure, "the server fails, and requests are still sent to it"},
	ServerEjected:    {"server_ejected", Failure, "the server has failed too often: its keys go to other servers, or requests for them fail"},
	ServerCause:      {"server_cause", Failure, "a server that fails does so for another cause than was told; one event for each cause"},
	ServerTried:      {"server_tried", Notice, "an ejected server is tried again; one event until it answers"},
	ServerAnswers:    {"server_answers", Notice, "the server is up again; the event says after how long"},
	ServerSlow:       {"server_slow", Notice, "the server is slow, as `ctl status` has it; for each server one event a minute at the most"},
	ServerSlowOver:   {"server_slow_over", Notice, "it is slow no more; the event says how long it was"},
	ServerErrors:     {"server_errors", Failure, "the server answers with errors that are about itself, such as OOM; for each server one event a minute at the most"},
	ServerErrorsOver: {"server_errors_over", Notice, "it has given no such error for ten seconds; the event says for how long it did"},
	NoServer:         {"no_server", Failure, "no server of the pool is left: all requests for keys fail"},
	NoServerOver:     {"no_server_over", Notice, "the pool has a server again; the event says for how long it had none"},
	ServerDisabled:   {"server_disabled", Notice, "an operator took the server out of service"},
	ServerEnabled:    {"server_enabled", Notice, "an operator put the server back into service; the event says after how long"},
	NameUnresolved:   {"name_unresolved", Notice, "the server's name cannot be resolved; it keeps the addresses that it had"},
	AddressesChanged: {"addresses_changed", Notice, "the server's name has other addresses now"},
	ClientsRefused:   {"clients_refused", Failure, "clients are refused at a bound; one event until none was refused for a minute"},
	ClientsCut:       {"clients_cut", Failure, "clients are closed for the memory that they hold, or the replies that they do not read; one event until none was closed for a minute"},
	AdminMissing:     {"admin_missing", Notice, "an admin listener is missing: its default address is taken"},

	CertificatesChanged: {"certificates_changed", Notice, "the files of the pool's TLS have changed, and new connections use them"},
	CertificatesRefused: {"certificates_refused", Notice, "the files of the pool's TLS, or of the admin listener's, cannot be used; what was read before stays in use"},

	AddressesRefused: {"addresses_refused", Notice, "clients come from addresses that allow_from or deny_from does not let in; one event until none came for a minute"},
	UsersChanged:     {"users_changed", Notice, "a reload has changed users of the pool, or their rules; the text names them"},
	LimitReached:     {"limit_reached", Notice, "requests wait for a limit of the pool; one event until none waited for a minute"},
	PrimaryChanged:   {"primary_changed", Notice, "Sentinel has made another server the primary, and requests go there now"},
	PrimaryLost:      {"primary_lost", Notice, "the sentinels do not say where the primary is, or name a server that is none; its last address stays in use"},
	PrimaryFound:     {"primary_found", Notice, "the sentinels say again where the primary is"},
	SentinelFails:    {"sentinel_fails", Notice, "a sentinel does not answer, or does not know a primary's name"},
	SentinelAnswers:  {"sentinel_answers", Notice, "a sentinel answers again, or is believed again"},
	SentinelDoubted:  {"sentinel_doubted", Notice, "a sentinel alone names another primary than the one in use, which the others name and which still is one; it is not believed"},
	NodeAdded:        {"node_added", Notice, "a node has come to the cluster"},
	NodeGone:         {"node_gone", Notice, "a node has left the cluster; its numbers stay for an hour"},
	RoleChanged:      {"role_changed", Notice, "a node of the cluster has become a primary or a replica, or a replica of another pool is a primary now"},
	ClusterFails:     {"cluster_fails", Failure, "no node of the cluster answers, slots have no primary, nodes refuse requests (cluster_state:fail), or they belong to several clusters; what was known before stays"},
	ClusterWhole:     {"cluster_whole", Notice, "the nodes of the cluster say again where all slots are, and do not refuse requests"},
	SeedFails:        {"seed_fails", Notice, "a seed of a cluster does not answer, or belongs to none"},
	SeedAnswers:      {"seed_answers", Notice, "a seed of a cluster answers again"},
	PeerLives:        {"peer_lives", Notice, "another proxy of a pool that looks like a cluster lives, and has its part of the slots"},
	PeerGone:         {"peer_gone", Notice, "another proxy of a pool that looks like a cluster is about to end, does not answer, or is none: it has no slots; the text says which"},
	ReplicaUnfit:     {"replica_unfit", Notice, "a replica is not read from, any more or from the first look on; the text says why"},
	ReplicaFit:       {"replica_fit", Notice, "a replica is read from, for the first time or again"},
}

// String is the kind's name.
func (k Kind) String() string { return kinds[k].name }

// KindOf is the kind of that name, if there is one.
func KindOf(name string) (Kind, bool) {
	for k := range NumKinds {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}

// Severity is what it means for requests.
func (k Kind) Severity() Severity { return kinds[k].severity }

// Help says what it means, in a sentence without its end.
func (k Kind) Help() string { return kinds[k].help }

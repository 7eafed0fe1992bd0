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
	ServerTried
	ServerAnswers
	ServerDisabled
	ServerEnabled
	NameUnresolved
	AddressesChanged
	ClientsRefused
	ClientsCut
	AdminMissing
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
	ReloadRefused:    {"reload_refused", Notice, "a configuration was not taken, and all stays as it was; the text is the first fault"},
	UpgradeBegun:     {"upgrade_begun", Notice, "the program is started anew, to take over"},
	UpgradeGivenUp:   {"upgrade_given_up", Notice, "the new program did not take over, and this one goes on"},
	Upgraded:         {"upgraded", Notice, "the new program has taken over, and this one drains"},
	Draining:         {"draining", Notice, "the end was asked for: what has come is answered, no more is taken"},
	PoolPaused:       {"pool_paused", Notice, "the pool's requests wait, for so long at the most"},
	PoolResumed:      {"pool_resumed", Notice, "they go on, after so long"},
	ServerFails:      {"server_fails", Failure, "the server fails, and gets its requests all the same"},
	ServerEjected:    {"server_ejected", Failure, "the server has failed too often: its keys go to other servers, or requests for them fail"},
	ServerTried:      {"server_tried", Notice, "an ejected server is tried again; told once until it answers"},
	ServerAnswers:    {"server_answers", Notice, "the server is up again, after so long"},
	ServerDisabled:   {"server_disabled", Notice, "an operator took the server out of service"},
	ServerEnabled:    {"server_enabled", Notice, "an operator put the server back into service, after so long"},
	NameUnresolved:   {"name_unresolved", Notice, "the server's name cannot be resolved; it keeps the addresses that it had"},
	AddressesChanged: {"addresses_changed", Notice, "the server's name stands for other addresses"},
	ClientsRefused:   {"clients_refused", Failure, "clients are turned away for want of room; told once until there was none for a minute"},
	ClientsCut:       {"clients_cut", Failure, "clients are closed for the memory that they hold or the replies that they do not read; told once until there was none for a minute"},
	AdminMissing:     {"admin_missing", Notice, "an admin listener is missing: its default address is taken"},
}

// String is the kind's name.
func (k Kind) String() string { return kinds[k].name }

// Severity is what it means for requests.
func (k Kind) Severity() Severity { return kinds[k].severity }

// Help says what it means, in a sentence without its end.
func (k Kind) Help() string { return kinds[k].help }

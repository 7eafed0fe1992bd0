package config

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A UserLimit is how much the clients of one user may do together, in all event loops.
type UserLimit struct {
	Name string
	// Clients is how many clients there may be; 0: any number.
	Clients int64
	Limits
	// ReadOnly: they may send nothing that may write. Databases are those that they may use;
	// empty: all.
	ReadOnly  bool
	Databases DatabaseList
}

// IsBounded reports whether some requests of the user are refused, whatever its rules.
func (l *UserLimit) IsBounded() bool { return l.ReadOnly || l.Databases != "" }

// BoundsDiffer reports whether some user may send other requests by one list than by another.
func BoundsDiffer(a, b []UserLimit) bool {
	type bound struct {
		name      string
		readOnly  bool
		databases DatabaseList
	}
	of := func(all []UserLimit) (bounds []bound) {
		for i := range all {
			if u := &all[i]; u.IsBounded() {
				bounds = append(bounds, bound{u.Name, u.ReadOnly, u.Databases})
			}
		}
		return bounds
	}
	return !slices.Equal(of(a), of(b))
}

// A DatabaseList is numbers of databases with commas between, as clients call them. It was
// checked when it was read.
type DatabaseList string

// Rule is the rule of an aclfile that allows these databases alone.
func (l DatabaseList) Rule() string { return "db=" + string(l) }

// reaches reports whether the list has that number or a greater one.
func (l DatabaseList) reaches(number int) bool {
	return slices.ContainsFunc(splitNames(string(l)), func(word string) bool {
		n, err := strconv.Atoi(word)
		return err == nil && n >= number
	})
}

var kindDatabases = kind{form: "numbers of databases", text: true, many: true, parse: parseDatabases, schema: databasesSchema}

// maxDatabase is the greatest number of a database, and maxDatabaseList how many a list may have.
const (
	maxDatabase     = 1<<20 - 1
	maxDatabaseList = 1024
)

func parseDatabases(_ limits, text string) (value, error) {
	words := splitNames(text)
	if len(words) == 0 || len(words) > maxDatabaseList {
		return value{}, errors.New("expected numbers of databases, such as 0, 3, found " + quote(text))
	}
	for _, word := range words {
		if n, err := strconv.ParseUint(word, 10, 32); err != nil || n > maxDatabase {
			return value{}, errors.New("expected numbers of databases, such as 0, 3, found " + quote(word))
		}
	}
	return value{text: strings.Join(words, ",")}, nil
}

// databasesSchema is the schema of a number, of a text of several, or of a list of them.
func databasesSchema(limits) object {
	const several = "[, ]*[0-9]{1,7}([, ]+[0-9]{1,7})*[, ]*"
	return object{
		{"type", []string{"integer", "string", "array"}},
		{"minimum", 0},
		{"maximum", maxDatabase},
		{"pattern", whole(several)},
		{"items", object{{"type", []string{"integer", "string"}}, {"minimum", 0}, {"maximum", maxDatabase}, {"pattern", whole(several)}}},
		{"minItems", 1},
		{"maxItems", maxDatabaseList},
	}
}

// userLimitKeys are the keys of a user in the block "user_limits".
var userLimitKeys = []key[UserLimit]{
	{
		name: "clients", kind: kindNumber, limits: limits{0, 1 << 30}, def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "How many clients may be this user at one time. One more is closed, with an error, when it logs in.",
		set:  func(l *UserLimit, v value) { l.Clients = v.number },
	},
	{
		name: "requests_per_second", kind: kindNumber, limits: limits{0, 1 << 30}, def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "How many requests are taken from the user's clients in a second. What is over it waits as for `limits`.",
		set:  func(l *UserLimit, v value) { l.Requests = v.number },
	},
	{
		name: "request_burst", kind: kindNumber, limits: limits{0, 1 << 30}, def: "0", defNote: "as many as in a tenth of a second, at least one", origin: fromNuthatch,
		help: "How many of them may come at once.",
		set:  func(l *UserLimit, v value) { l.RequestBurst = v.number },
	},
	{
		name: "bytes_per_second", kind: kindSize, limits: limits{0, tb}, def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "How many bytes of requests and replies are exchanged with the user's clients in a second. They are counted as for `limits`.",
		set:  func(l *UserLimit, v value) { l.Bytes = v.number },
	},
	{
		name: "byte_burst", kind: kindSize, limits: limits{0, tb}, def: "0", defNote: "as many as in a tenth of a second", origin: fromNuthatch,
		help: "How many of them may be exchanged at once.",
		set:  func(l *UserLimit, v value) { l.ByteBurst = v.number },
	},
	{
		name: "in_flight", kind: kindNumber, limits: limits{0, 1 << 30}, def: "0", defNote: "no limit", origin: fromNuthatch,
		help: "How many requests of the user's clients may be in flight.",
		set:  func(l *UserLimit, v value) { l.InFlight = v.number },
	},
	{
		name: "max_wait", kind: kindDuration, limits: durations(time.Millisecond, time.Hour), def: "1s", origin: fromNuthatch,
		help: "How long a request may wait for the user's limits, from when it came.",
		set:  func(l *UserLimit, v value) { l.MaxWait = v.duration() },
	},
	{
		name: "read_only", kind: kindBool, def: "false", origin: fromNuthatch,
		help: "Refuses what may write with the error `READONLY`, whatever the user's rules or the servers allow, as the pool's " +
			"`read_only` does for all.",
		set: func(l *UserLimit, v value) { l.ReadOnly = v.flag },
	},
	{
		name: "databases", kind: kindDatabases, defNote: "all of the pool", origin: fromNuthatch,
		help: "The numbers of the databases that the user may use, such as `[0, 3]`, as clients call them. Requests in others, and " +
			"those that name others (`SELECT`, `MOVE`, `COPY`, `SWAPDB`), are refused, and so is what concerns all databases (`FLUSHALL`).",
		set: func(l *UserLimit, v value) { l.Databases = DatabaseList(v.text) },
	},
}

package redis

import (
	"math"
	"strconv"

	"nuthatch/internal/msg"
)

// The databases of a pool, and what requests say of them: COPY and MOVE. SELECT is in select.go.

// databases are those that a pool's clients may use.
type databases struct {
	// own is the database, on the servers, of clients that have not chosen one.
	own int
	// n is how many they may choose from. With 0 or 1 there is only own, and clients
	// call it 0, or by its own number.
	n int
}

// several reports whether clients may choose, and so call databases by the servers'
// numbers.
func (d databases) several() bool { return d.n > 1 }

// number is the number, on the servers, of a lane's database.
func (d databases) number(lane msg.Lane) int {
	if lane.DB == msg.OwnDB {
		return d.own
	}
	return lane.DB
}

// shown is the number of a lane's database for the clients.
func (d databases) shown(lane msg.Lane) int {
	if db := d.number(lane); d.several() || db != d.own {
		return db
	}
	return 0
}

// has tells whether a lane's database is one of the pool's.
func (d databases) has(lane msg.Lane) bool {
	db := d.number(lane)
	return db == d.own || d.several() && db < d.n
}

// lane is the database that a client calls n, as a lane has it.
func (d databases) lane(n int64) (db int, ok bool) {
	switch {
	case d.several():
		return int(n), n >= 0 && n < int64(d.n)
	case n == 0:
		return msg.OwnDB, true
	default:
		return int(n), n == int64(d.own)
	}
}

// Why a request that names a database is refused, in Redis's words.
const (
	notInteger  = "value is not an integer or out of range"
	notInt32    = "value is out of range, value must between -2147483648 and 2147483647"
	badDatabase = "DB index is out of range"
	// selectInCluster is for a pool that looks like a cluster.
	selectInCluster = "SELECT is not allowed in cluster mode"
)

// databaseNamed is the database, as a lane has it, that the i-th word of a request names, or
// why it names none.
func (d databases) databaseNamed(r *msg.Request, i int) (db int, fault string) {
	n, ok := number(r, i)
	switch {
	case !ok:
		return 0, notInteger
	case n < math.MinInt32 || n > math.MaxInt32:
		return 0, notInt32
	}
	if db, ok = d.lane(n); !ok {
		return 0, badDatabase
	}
	return db, ""
}

// databaseRule says which words of a command name a database.
type databaseRule uint8

const (
	noDatabase databaseRule = iota
	atWord2                 // the third and last word: MOVE
	behindDB                // those behind DB, among the options of COPY
)

// hold keeps a request within the pool's databases: it returns an error for any other,
// and replaces the number by the server's own.
func (d databases) hold(r *msg.Request, rule databaseRule) (fault string) {
	at := 0
	switch {
	case rule == behindDB:
		fault, at = d.behindDB(r)
	case len(r.Args) != 3:
		fault = wrongArity
	default:
		at = 2
		_, fault = d.databaseNamed(r, at)
	}
	if fault != "" {
		r.FirstKey, r.KeyStep, r.Nkeys = 0, 0, 0
		return fault
	}
	if at > 0 && !d.several() && d.own != 0 {
		// Whichever of its numbers it was, it is the pool's own.
		begin := r.Args[at-1].End() + 2
		r.Omit = msg.Span{Off: uint32(begin), Len: uint32(r.Args[at].End() + 2 - begin)}
		word := strconv.Itoa(d.own)
		r.Instead = "$" + strconv.Itoa(len(word)) + "\r\n" + word + "\r\n"
	}
	return ""
}

// behindDB looks through the options of COPY, as Redis does: the first wrong word
// counts, and of several databases the last. A word that is no option is refused here,
// since its effect on the next words is unknown.
func (d databases) behindDB(r *msg.Request) (fault string, at int) {
	for i := 3; i < len(r.Args); i++ {
		switch {
		case isWord(r, i, "replace"):
		case isWord(r, i, "db") && i+1 < len(r.Args):
			i++
			if _, fault = d.databaseNamed(r, i); fault != "" {
				return fault, 0
			}
			at = i
		default:
			return syntaxError, 0
		}
	}
	return "", at
}

// Resolve implements proxy.SessionKeeper: all clients in a database share its
// connections, whether they chose it or it is the pool's own.
func (p *Protocol) Resolve(lane msg.Lane) msg.Lane {
	user := lane.User
	if user == msg.ServiceUser && (!p.passes || p.rules.login.Password == "") {
		user = 0
	}
	return msg.Lane{RESP: uint8(versionOf(lane)), User: user, DB: p.databases.number(lane)}
}

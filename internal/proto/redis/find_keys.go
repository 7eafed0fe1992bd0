package redis

import "nuthatch/internal/msg"

// keyRule says how the keys among a command's words are found.
type keyRule uint8

const (
	noKey       keyRule = iota
	oneKey              // the word at first
	rangeOfKeys         // first to last, by step; a negative last counts from the end
	countedKeys         // the word at first-1 is their number; last > 0: one more, at last
	pairedKeys          // the word at first-1 is the number of keys, each with a value behind it
	scriptKeys          // as countedKeys, and there may be none
	storeKey            // the word at first, and the one behind STORE among those from last on
	sortKeys            // the word at first, the one behind STORE, and what the patterns behind BY and GET lead to
	streamKeys          // the first half of the words behind STREAMS, which is at first or later
	migrateKeys         // the word at first or, if that is empty, the words behind KEYS
)

// keys says which of a command's words are keys. first, last and step are
// indices of words, as in Redis's COMMAND.
type keys struct {
	rule              keyRule
	first, last, step int
	// behind is how many words must stand behind the keys, for countedKeys.
	behind int
	// dest: the first key, or the additional one, is written, and the others are read.
	dest bool
}

// The ways of Redis's commands.
var (
	noKeys  = keys{}
	key1    = keys{rule: oneKey, first: 1, last: 1, step: 1}
	key2    = keys{rule: oneKey, first: 2, last: 2, step: 1}
	twoKeys = keys{rule: rangeOfKeys, first: 1, last: 2, step: 1}
	allKeys = keys{rule: rangeOfKeys, first: 1, last: -1, step: 1}
	butLast = keys{rule: rangeOfKeys, first: 1, last: -2, step: 1}
	pairs   = keys{rule: rangeOfKeys, first: 1, last: -1, step: 2}
	from2   = keys{rule: rangeOfKeys, first: 2, last: -1, step: 1}
	after1  = keys{rule: rangeOfKeys, first: 2, last: -1, step: 1, dest: true}

	destAndKeys    = keys{rule: rangeOfKeys, first: 1, last: -1, step: 1, dest: true}
	count1         = keys{rule: countedKeys, first: 2, step: 1}
	countedPairs   = keys{rule: pairedKeys, first: 2, step: 2}
	count1And      = keys{rule: countedKeys, first: 2, step: 1, behind: 1}
	count2And      = keys{rule: countedKeys, first: 3, step: 1, behind: 1}
	scripted       = keys{rule: scriptKeys, first: 3, step: 1}
	count2AndStore = keys{rule: countedKeys, first: 3, last: 1, step: 1, dest: true}

	sorted     = keys{rule: sortKeys, first: 1, step: 1}
	sortStore  = keys{rule: sortKeys, first: 1, step: 1, dest: true}
	storeFrom5 = keys{rule: storeKey, first: 1, last: 5, step: 1, dest: true}
	storeFrom6 = keys{rule: storeKey, first: 1, last: 6, step: 1, dest: true}

	migrated     = keys{rule: migrateKeys, first: 3, step: 1}
	streams      = keys{rule: streamKeys, first: 1, step: 1}
	groupStreams = keys{rule: streamKeys, first: 4, step: 1}
)

// positions are first, last and step as COMMAND reports them: of the keys whose
// place is fixed.
func (k *keys) positions() (first, last, step int) {
	switch k.rule {
	case oneKey, rangeOfKeys:
		return k.first, k.last, k.step
	case storeKey, sortKeys, migrateKeys:
		return k.first, k.first, k.step
	case countedKeys:
		if k.last > 0 {
			return k.last, k.last, k.step
		}
	case noKey, streamKeys, scriptKeys, pairedKeys:
	}
	return 0, 0, 0
}

// Why a request is refused before a server sees it. The texts are Redis's, or begin
// like Redis's.
const (
	wrongArity  = "wrong number of arguments"
	syntaxError = "syntax error"
)

const (
	// misplaced: the words do not say where the keys are, so that no server would
	// carry the request out.
	misplaced = "misplaced keys"
	// keyless: the words say that there are none.
	keyless = "no keys"
	// waits: the words say that the request waits at its server.
	waits = "waits"
	// oneOwner: all keys must have one owner.
	oneOwner = "keys that belong together"
)

// locate fills in which of r.Args are keys, or says why r is not served. It may extend
// r.Args by spans of keys. undivided: r goes to one server, even if its command's
// requests are usually split.
//
// If a request is wrong in a way that hides its keys, it goes to the owner of its first
// word. The server there refuses it in Redis's words, which differ by command and
// release.
func (k *keys) locate(r *msg.Request) (undivided bool, why string) {
	switch why := k.find(r); why {
	case "":
		return false, ""
	case oneOwner:
		return true, ""
	case waits:
		return false, waits
	case misplaced:
		r.FirstKey, r.KeyStep, r.Nkeys, r.Stray = 1, 1, 1, true
		return true, ""
	default:
		r.FirstKey, r.KeyStep, r.Nkeys = 0, 0, 0
		return false, why
	}
}

// find fills in which of r.Args are keys, or returns what is special about them, or
// wrong.
func (k *keys) find(r *msg.Request) string {
	switch k.rule {
	case oneKey:
		r.FirstKey, r.KeyStep, r.Nkeys = k.first, 1, 1
	case rangeOfKeys:
		return k.findRange(r)
	case countedKeys, scriptKeys:
		return k.findCounted(r)
	case pairedKeys:
		return k.findPairs(r)
	case storeKey:
		k.findStore(r)
	case sortKeys:
		k.findSort(r)
	case streamKeys:
		return k.findStreams(r)
	case migrateKeys:
		return k.findMigrated(r)
	case noKey:
		r.FirstKey, r.KeyStep, r.Nkeys = 0, 0, 0
	}
	return ""
}

func (k *keys) findRange(r *msg.Request) string {
	last := k.last
	if last < 0 {
		last += len(r.Args)
	}
	if last < k.first {
		return misplaced
	}
	r.FirstKey, r.KeyStep, r.Nkeys = k.first, k.step, (last-k.first)/k.step+1
	if k.step > 1 && (len(r.Args)-k.first)%k.step != 0 {
		return misplaced // the last one lacks its value
	}
	return ""
}

// findCounted finds the keys behind their number. Only scripts may have none.
func (k *keys) findCounted(r *msg.Request) string {
	n, ok := number(r, k.first-1)
	switch {
	case ok && n == 0 && k.rule == scriptKeys:
		r.FirstKey, r.KeyStep, r.Nkeys = 0, 0, 0
		return keyless
	case !ok, n <= 0, n > int64(len(r.Args)-k.first-k.behind):
		return misplaced
	}
	r.FirstKey, r.KeyStep, r.Nkeys = k.first, 1, int(n)
	if k.last > 0 {
		r.Args = append(r.Args, r.Args[k.last])
		relist(r)
	}
	return ""
}

// findPairs finds MSETEX's keys. If there is a condition on all of them, they must have
// one owner.
func (k *keys) findPairs(r *msg.Request) string {
	n, ok := number(r, k.first-1)
	if !ok || n <= 0 || n > int64(len(r.Args)-k.first)/int64(k.step) {
		return misplaced
	}
	r.FirstKey, r.KeyStep, r.Nkeys = k.first, k.step, int(n)
	for i := k.first + r.Nkeys*k.step; i < len(r.Args); i++ {
		if isWord(r, i, "nx") || isWord(r, i, "xx") {
			return oneOwner
		}
	}
	return ""
}

// relist lists the keys that r names once more after all other words, where one
// additional key is listed already.
func relist(r *msg.Request) {
	first := len(r.Args) - 1
	r.Args = append(r.Args, r.Args[r.FirstKey:r.FirstKey+r.Nkeys]...)
	r.FirstKey = first
	r.Nkeys++
}

// findStore looks for an option that names an additional key: STORE and STOREDIST of
// GEORADIUS. As in Redis, the last one counts.
func (k *keys) findStore(r *msg.Request) {
	r.FirstKey, r.KeyStep, r.Nkeys = k.first, 1, 1
	store := 0
	for i := k.last; i+1 < len(r.Args); i++ {
		if isWord(r, i, "store") || isWord(r, i, "storedist") {
			i++
			store = i
		}
	}
	if store > 0 {
		r.Args = append(r.Args, r.Args[store])
		relist(r)
	}
}

// findStreams finds the keys of XREAD and XREADGROUP. It finds them even if it
// returns waits.
func (k *keys) findStreams(r *msg.Request) string {
	n := len(r.Args)
	why := ""
	for i := 1; i < n; i++ {
		switch {
		case isWord(r, i, "block"):
			why = waits
			i++
		case isWord(r, i, "count"):
			i++
		case isWord(r, i, "group"):
			i += 2
		case isWord(r, i, "streams"):
			rest := n - i - 1
			if i < k.first || rest == 0 || rest%2 != 0 {
				return misplaced
			}
			r.FirstKey, r.KeyStep, r.Nkeys = i+1, k.step, rest/2
			return why
		}
	}
	return misplaced
}

// findMigrated finds MIGRATE's keys. The words behind other options are no options.
func (k *keys) findMigrated(r *msg.Request) string {
	r.FirstKey, r.KeyStep, r.Nkeys = k.first, 1, 1
	for i := k.first + 3; i < len(r.Args); i++ {
		switch {
		case isWord(r, i, "auth"):
			i++
		case isWord(r, i, "auth2"):
			i += 2
		case isWord(r, i, "keys") && r.Args[k.first].Len > 0:
			return misplaced
		case isWord(r, i, "keys"):
			r.FirstKey, r.Nkeys = i+1, len(r.Args)-i-1
			return ""
		}
	}
	return ""
}

// isWord tells whether the i-th word of a request is the given one, which is in
// lower case and at most maxName long.
func isWord(r *msg.Request, i int, word string) bool {
	s := r.Args[i]
	if int(s.Len) != len(word) {
		return false
	}
	var buf [maxName]byte
	b, _ := r.View.Bytes(int(s.Off), int(s.Len), buf[:0])
	return isNamed(word, b)
}

// number is the i-th word of a request as a number.
func number(r *msg.Request, i int) (v int64, ok bool) {
	s := r.Args[i]
	if int(s.Len) > maxName {
		return 0, false
	}
	var buf [maxName]byte
	b, _ := r.View.Bytes(int(s.Off), int(s.Len), buf[:0])
	var h header
	for _, c := range b {
		h.digit(c)
	}
	return h.number()
}

package redis

import (
	"bytes"
	"math"
	"slices"
	"strconv"

	"nuthatch/internal/acl"
	"nuthatch/internal/msg"
)

// Whether a user may have a request carried out. The keys that are judged are those that
// the request is placed by, as the parser found them:
//
//	parser ─► FirstKey, KeyStep, Nkeys ─┬─► router
//	                                    └─► judge ─► acl.Trial ─► acl.Verdict
//
// A request that the parser refuses is judged first, too, by the same rules for finding
// keys. Only an unknown command and a wrong number of words are told before a denial, as by
// Redis.

// A judge says what users may do.
type judge struct {
	*rules
	words *wordReader // the protocol's
	// spans is room for the words of a request whose keys the parser has not found.
	spans []msg.Span
}

// Judge says whether a user may have a request carried out, for a client in the database
// db, as clients number databases. It changes nothing.
func (j *judge) Judge(req *msg.Request, u *acl.User, db int) acl.Verdict {
	// Most requests are for one key, and allowed by the rules outside parentheses.
	if j.admits(req, u) {
		return acl.Verdict{}
	}
	var t acl.Trial
	j.JudgeSome(&t, req, u, db, math.MaxInt)
	return t.Verdict()
}

// admits tells that the user may have a request carried out. If it is false, it takes a trial to
// tell. It looks at the first bytes of each key, where the parser has found them: most keys of a
// request begin alike, and as one pattern does.
func (j *judge) admits(req *msg.Request, u *acl.User) bool {
	g := u.Gate(int(req.Type))
	if g == nil || req.Nkeys == 0 || req.Stray || !req.ByKeys() {
		return false
	}
	if g.IsOpen() {
		return true
	}
	h, keys := g.First(), req.Args[req.FirstKey:req.FirstKey+(req.Nkeys-1)*req.KeyStep+1]
	for {
		near, begin := j.nearKey(req, keys[0])
		if len(keys) > 1 && h.IsShort() {
			taken := takenBy(h, near, begin, keys, req.KeyStep)
			if taken >= len(keys) {
				return true
			}
			keys = keys[taken:]
		}
		off, n := int(keys[0].Off)-begin, int(keys[0].Len)
		if n > acl.MaxGateKey {
			return false
		}
		var b []byte
		if off+n <= len(near) {
			b = near[off:]
		} else { // it lies in two chunks, or in a later one
			b, j.words.scratch = req.View.Bytes(int(keys[0].Off), n, j.words.scratch)
		}
		by, ok := g.Lets(b, n)
		if !ok {
			return false
		}
		if len(keys) <= req.KeyStep {
			return true
		}
		h, keys = by, keys[req.KeyStep:]
	}
}

// takenBy is where the first key is that the head does not take, or behind the last one. Each step-th
// of the spans is a key. It is a function of its own so that what the loop needs stays in registers.
//
//go:noinline
func takenBy(h *acl.Head, near []byte, begin int, keys []msg.Span, step int) int {
	at := 0
	for ; uint(at) < uint(len(keys)); at += step {
		off := uint(keys[at].Off) - uint(begin)
		if off >= uint(len(near)) {
			break
		}
		if b := near[off:]; len(b) < acl.HeadSize || !h.Begins((*[acl.HeadSize]byte)(b), int(keys[at].Len)) {
			break
		}
	}
	return at
}

// nearKey are bytes of the request in one piece, from begin on, with the first one of a key among
// them. If the request lies in one piece, and only then, there are more behind its last key.
func (*judge) nearKey(req *msg.Request, key msg.Span) (near []byte, begin int) {
	near, begin = req.View.Near(int(key.Off))
	if req.View.Chain() == nil {
		near = near[:min(len(near)+acl.HeadSize, cap(near))]
	}
	return near, begin
}

// JudgeSome is Judge in slices. Each call looks at about that many keys. Between two calls
// the request must stay as it is. t is zero before the first call; after the last one, when
// done is true, it has the verdict.
func (j *judge) JudgeSome(t *acl.Trial, req *msg.Request, u *acl.User, db, keys int) (done bool) {
	c := &commands[req.Type]
	switch {
	case u.IsUnlimited(), len(req.Args) == 0:
		return true
	case c.id == unknown:
		*t = j.judgeLearned(req, u, db)
		return true
	}
	words := c.ownWords(req)
	if req.Error != "" && (!c.takes(words) || c.subs > 0 && c.reason == "" && words > 1) {
		return true // a wrong number of words or, of a container, an unknown subcommand
	}
	if t.Keys == 0 || !t.IsOf(u) { // it begins, or a reload has changed the rules
		*t = u.Begin(int(c.id), j.firstArg(req, words), db)
		j.judgeDatabases(t, req, c, words)
	}
	found := req
	var again msg.Request
	if c.isKeyed() && !req.ByKeys() {
		if words > maxKeyWords {
			return true // it will be refused, for whatever reason
		}
		again = msg.Request{View: req.View, Type: req.Type, Args: req.Args[:words]}
		j.locate(&again, c)
		found, keys = &again, math.MaxInt
	}
	if c.isKeyed() && t.LooksAtKeys() && !j.judgeKeys(t, found, c, keys) {
		return false
	}
	j.judgeChannels(t, req, c, words)
	if c.keys.rule == sortKeys {
		j.judgePatterns(t, req, words)
	}
	return true
}

// takes tells whether a request for the command may have that many words.
func (c *command) takes(words int) bool {
	return words == c.arity || c.arity < 0 && words >= -c.arity
}

// ownWords is the number of the request's words, without the keys that the parser has
// listed again.
func (c *command) ownWords(req *msg.Request) int {
	k := &c.keys
	relisted := k.rule == countedKeys && k.last > 0 && req.Nkeys > 1 || (k.rule == storeKey || k.rule == sortKeys) && req.Nkeys > 1
	if relisted {
		return req.FirstKey
	}
	return len(req.Args)
}

// firstArg is the word behind the command's name, or nil if there is none.
func (j *judge) firstArg(req *msg.Request, words int) []byte {
	if words < 2 {
		return nil
	}
	return j.words.word(req, 1)
}

// locate finds the keys of a request that the parser has not found, or has given up. The
// request's words are copied, so that they may be extended.
func (j *judge) locate(r *msg.Request, c *command) {
	j.spans = append(j.spans[:0], r.Args...)
	r.Args = j.spans
	c.keys.locate(r)
	if j.spans = r.Args; cap(j.spans) > maxDesk {
		j.spans = nil
	}
}

// judgeChannels tells the trial which channels a request names.
func (j *judge) judgeChannels(t *acl.Trial, req *msg.Request, c *command, words int) {
	what := c.subscription
	switch {
	case c.publishes || c.treatment == msg.Publish:
		j.judgeChannel(t, req, 1, false)
	case c.treatment == msg.Subscribe && !what.Ends && t.LooksAtChannels():
		for i := 1; i < words; i++ {
			j.judgeChannel(t, req, i, what.Channels == msg.Patterns)
		}
	}
}

func (j *judge) judgeChannel(t *acl.Trial, req *msg.Request, at int, isPattern bool) {
	if req.Args[at].Len > maxWord {
		t.UnknownChannels(at)
		return
	}
	t.Channel(j.words.word(req, at), isPattern, at)
}

// judgeDatabases tells the trial which databases a request names.
func (j *judge) judgeDatabases(t *acl.Trial, req *msg.Request, c *command, words int) {
	named := func(at int) {
		if n, ok := number(req, at); ok {
			t.Database(int(n), at)
		}
	}
	switch {
	case c.answer == answerSelect:
		named(1)
	case c.database == atWord2 && words > 2:
		named(2)
	case c.name == "swapdb" && words > 2:
		named(1)
		named(2)
	case c.database == behindDB:
		for i := 3; i+1 < words; i++ {
			if isWord(req, i, "db") {
				i++
				named(i)
			}
		}
	}
}

// judgeKeys tells the trial which keys a request names, in the order of its words, but not
// of more than that many. done: these were the last.
func (j *judge) judgeKeys(t *acl.Trial, req *msg.Request, c *command, keys int) (done bool) {
	if req.Stray {
		t.UnknownKeys(1)
		return true
	}
	first, others := c.first, c.others
	if c.varies {
		first = c.varyingAccess(req)
		others = first
	}
	switch {
	case c.keys.rule == storeKey:
		j.judgeKey(t, req, c.keys.first, first, c.keys.first)
		j.judgeStores(t, req, c)
		return true
	case c.keys.rule == sortKeys && req.Nkeys > 1:
		// The key that is stored is listed first, and stands last.
		j.judgeKey(t, req, req.FirstKey+1, first, c.keys.first)
		j.judgeKey(t, req, req.FirstKey, others, placeOf(req, req.FirstKey))
		return true
	}
	at, step := req.FirstKey, req.KeyStep
	relisted := c.keys.rule == countedKeys && c.keys.last > 0
	end := t.Keys + min(keys, req.Nkeys-t.Keys)
	for i := t.Keys; i < end; i++ {
		how, place := others, at+i*step
		if i == 0 {
			how = first
		}
		if relisted {
			place = c.keys.first + i - 1
			if i == 0 {
				place = c.keys.last
			}
		}
		j.judgeKey(t, req, at+i*step, how, place)
	}
	t.Keys = end
	return end == req.Nkeys
}

// judgeStores tells the trial of each key behind STORE and STOREDIST, in Redis's order. The
// last one of them is stored, and Redis looks at the first one of both options.
func (j *judge) judgeStores(t *acl.Trial, req *msg.Request, c *command) {
	words := c.ownWords(req)
	for _, option := range [...]string{"store", "storedist"} {
		for i := c.keys.last; i+1 < words; i++ {
			switch {
			case isWord(req, i, option):
				i++
				j.judgeKey(t, req, i, c.others, i)
			case isWord(req, i, "store"), isWord(req, i, "storedist"):
				i++
			}
		}
	}
}

// placeOf is the place of a word that is listed again at the place again.
func placeOf(req *msg.Request, again int) int {
	return slices.Index(req.Args, req.Args[again])
}

// judgeKey tells the trial of one key, the listed word. It is the word at place. A key that
// is too long to be looked at needs a user who may use all keys.
func (j *judge) judgeKey(t *acl.Trial, req *msg.Request, listed int, how acl.Access, place int) {
	if req.Args[listed].Len > maxWord {
		t.UnknownKeys(place)
		return
	}
	t.Key(j.words.word(req, listed), how, place)
}

// varyingAccess is the access of a command whose options decide that: see varying.
func (c *command) varyingAccess(req *msg.Request) acl.Access {
	use := c.varying(req)
	return accessOf(func(flag string) bool { return slices.Contains(use, flag) })
}

// judgePatterns tells the trial of SORT's patterns. They lead to keys that nobody can
// tell, so they need a user who may read all keys.
func (j *judge) judgePatterns(t *acl.Trial, req *msg.Request, words int) {
	for i := sortOptions; i+1 < words; i++ {
		switch {
		case isWord(req, i, "limit"):
			i += 2
		case isWord(req, i, "store"):
			i++
		case isWord(req, i, "get"):
			t.EveryKey(acl.DeniedSortGet, i+1)
			return
		case isWord(req, i, "by"):
			i++
			if req.Args[i].Len > maxWord || bytes.IndexByte(j.words.word(req, i), '*') >= 0 {
				t.EveryKey(acl.DeniedSortBy, i)
				return
			}
		}
	}
}

// judgeLearned is Judge for a command that the table lacks. What has not been learnt is no
// command yet: the request is learnt, or refused.
func (j *judge) judgeLearned(req *msg.Request, u *acl.User, db int) acl.Trial {
	l := j.learned.command(j.words.word(req, 0))
	switch {
	case l == nil && req.ByKeys(): // it was forgotten since the request was parsed
		t := u.BeginOther(&acl.Other{Keyed: true}, db)
		t.UnknownKeys(0)
		return t
	case l == nil:
		return acl.Trial{}
	}
	o := acl.Other{Name: l.name, Categories: l.categories, Keyed: len(l.specs) > 0}
	if sub := l.sub(req); sub != nil {
		l = sub
		o.Categories, o.Keyed = l.categories, len(l.specs) > 0
	}
	words := len(req.Args)
	relisted := len(l.specs) > 1 && req.FirstKey > 1
	if relisted {
		words = req.FirstKey
	}
	if words < l.minArgs && !req.ByKeys() {
		return acl.Trial{}
	}
	if words > 1 {
		o.Sub = j.words.word(req, 1)
	}
	t := u.BeginOther(&o, db)
	switch {
	case !t.LooksAtKeys():
	case l.reason == hiddenKeys:
		t.UnknownKeys(0)
	default:
		j.judgeSpans(&t, req, l, words)
	}
	return t
}

// judgeSpans tells the trial which keys a request for a learnt command names.
func (j *judge) judgeSpans(t *acl.Trial, req *msg.Request, l *lesson, words int) {
	found := false
	for i := range l.specs {
		k := &l.specs[i]
		first, last, ok := k.find(req, words)
		switch {
		case !ok && k.begins(req, words):
			// The server may find keys there.
			t.UnknownKeys(1)
			return
		case !ok:
			continue
		}
		found = true
		for at := first; at <= last; at += k.step {
			j.judgeKey(t, req, at, k.access, at)
		}
	}
	if !found && len(l.specs) > 0 && words > 1 {
		t.UnknownKeys(1)
	}
}

// CommandOf is the full name of the command that a request calls, as denials tell it.
func (j *judge) CommandOf(req *msg.Request) string {
	if req.Type != unknown {
		return commands[req.Type].name
	}
	l := j.learned.command(j.words.word(req, 0))
	if l == nil {
		return plain(lower(nil, j.words.word(req, 0)), maxShown)
	}
	if sub := l.sub(req); sub != nil {
		l = sub
	}
	return l.name
}

// WordAt is the word of a request at that place, as ACL LOG shows it. It is valid until
// another word is read.
func (j *judge) WordAt(req *msg.Request, at int) []byte { return j.words.word(req, at) }

// DryRun answers ACL DRYRUN: whether a user may have carried out what the words behind his
// name are. fault: the text is an error.
func (j *judge) DryRun(req *msg.Request, users *acl.Users, db int) (text string, fault bool) {
	const begin = 3
	u := users.Named(j.words.word(req, 2))
	if u == nil {
		return "User '" + string(j.words.word(req, 2)) + "' not found", true
	}
	r := msg.Request{View: req.View, Args: req.Args[begin:]}
	c := lookup(j.words.word(&r, 0))
	if c.subs > 0 && len(r.Args) > 1 {
		if sub := c.lookupSub(j.words.word(&r, 1)); sub != nil {
			c = sub
		} else if c.reason == "" {
			c = &commands[unknown]
		}
	}
	r.Type = c.id
	switch {
	case c.id == unknown && j.learned.command(j.words.word(&r, 0)) == nil:
		return "Command '" + string(j.words.word(&r, 0)) + "' not found", true
	case c.id != unknown && !c.takes(len(r.Args)):
		return "wrong number of arguments for '" + c.name + "' command", true
	case len(r.Args) > maxKeyWords:
		return "the command has too many words: at most " + strconv.Itoa(maxKeyWords) + " when it is tried", true
	}
	var t acl.Trial
	if c.id == unknown {
		t = j.judgeLearned(&r, u, db)
	} else {
		words := len(r.Args)
		t = u.Begin(int(c.id), j.firstArg(&r, words), db)
		j.judgeDatabases(&t, &r, c, words)
		if c.isKeyed() {
			j.locate(&r, c)
		}
		if c.isKeyed() && t.LooksAtKeys() {
			j.judgeKeys(&t, &r, c, math.MaxInt)
		}
		j.judgeChannels(&t, &r, c, words)
	}
	v := t.Verdict()
	return v.DryRun(u.Name(), j.CommandOf(&r), j.words.word(&r, v.At)), false
}

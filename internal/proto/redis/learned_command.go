package redis

import (
	"math"
	"slices"
	"strings"

	"nuthatch/internal/acl"
	"nuthatch/internal/msg"
)

// A lesson is a command as a server's COMMAND INFO describes it, in place of a row of
// the table.
type lesson struct {
	// name is in lower case; a subcommand's is behind that of its container and a
	// bar.
	name string
	// minArgs is the least number of words.
	minArgs int
	// reason is why the command cannot be served, or empty.
	reason string
	// blocks: the command may wait at its server. reads: it only reads.
	blocks, reads bool
	specs         []keySpan
	subs          []*lesson
	// categories are those of access control lists.
	categories acl.Categories
}

// A keySpan says where some of a command's keys are: one of Redis's key
// specifications.
type keySpan struct {
	// keyword, if not empty, is the word after which the keys begin. It is looked for
	// from the word at from on. If from is negative, it counts from the end, and the
	// search goes back. Without a keyword the keys begin at from.
	keyword string
	from    int
	// counted: the word at number says how many keys there are, and the first is at
	// first. Both count from the beginning.
	//
	// Invariant: neither is negative.
	counted       bool
	number, first int
	// last is the last key, counted from the beginning or, if negative, from the end.
	// limit, if more than 1, divides the words up to the end.
	last, limit int
	step        int
	// access is what is done with the keys.
	access acl.Access
}

// hiddenKeys is why a learnt command is not served.
const hiddenKeys = "the servers do not say where its keys are"

// maxSpecs is the most key specifications that a command is taken to have.
const maxSpecs = 16

// newLesson reads an element of a reply to COMMAND INFO. Before Redis 7 it ends
// with the step, or the categories; since then it has key specifications and
// subcommands.
func newLesson(v replyValue) (*lesson, bool) {
	l, ok := readLesson(v)
	if ok && len(v.elems) > 9 {
		for _, sub := range v.elems[9].elems {
			if s, ok := readLesson(sub); ok {
				l.subs = append(l.subs, s)
			}
		}
	}
	return l, ok
}

// readLesson is newLesson without the subcommands.
func readLesson(v replyValue) (*lesson, bool) {
	if len(v.elems) < 6 {
		return nil, false
	}
	l := &lesson{name: strings.ToLower(v.elems[0].text)}
	l.minArgs = max(1, int(min(max(v.elems[1].number, -v.elems[1].number), math.MaxInt16)))
	flags := v.elems[2]
	l.categories = categoriesOf(v)
	movable := flags.has("movablekeys")
	l.blocks, l.reads = flags.has("blocking"), flags.has("readonly")
	switch {
	case flags.has("admin"):
		// As SHUTDOWN, which has the flag, too: it may be another server's name for that.
		l.reason = sharedServer
	case flags.has("pubsub"):
		l.reason = ownConnection
	}
	known := true
	if len(v.elems) > 8 && len(v.elems[8].elems) > 0 {
		known = l.readSpecs(v.elems[8].elems)
	}
	if movable && !slices.ContainsFunc(l.specs, keySpan.moves) {
		// Only the server's own code knows all keys: the fixed places are not all.
		known, l.specs = false, nil
	}
	first, last, step := v.elems[3].index(), v.elems[4].index(), v.elems[5].index()
	switch {
	case l.reason != "" || len(l.specs) > 0:
	case !known:
		l.reason = hiddenKeys
	case first > 0:
		l.specs = []keySpan{{from: first, last: last, step: max(step, 1), access: acl.Read | acl.Write}}
		if l.reads {
			l.specs[0].access = acl.Read
		}
		if last >= 0 {
			l.specs[0].last = last - first
		}
	}
	return l, true
}

// categoriesOf are the categories that an element of a reply to COMMAND INFO names, and those
// that follow from its flags. Servers before Redis 6 name none, and later ones not always name
// those of modules' commands.
func categoriesOf(v replyValue) acl.Categories {
	var named acl.Categories
	if len(v.elems) > 6 {
		for _, category := range v.elems[6].elems {
			named |= acl.CategoriesOf(category.text)
		}
	}
	all := named
	isIn := func(category string) bool { return named&acl.CategoriesOf(category) != 0 }
	for _, category := range aclCategories {
		if followsFromFlags(category, v.elems[2].has, isIn) {
			all |= acl.CategoriesOf(category)
		}
	}
	return all
}

// readSpecs reads key specifications. It returns false if one of them does not say
// exactly where the keys are.
func (l *lesson) readSpecs(specs []replyValue) bool {
	if len(specs) > maxSpecs {
		return false
	}
	for _, v := range specs {
		k, ok := newKeySpan(v)
		if !ok || v.field("flags").has("incomplete") {
			l.specs = nil
			return false
		}
		k.access = accessOf(func(flag string) bool { return v.field("flags").has(flag) })
		l.specs = append(l.specs, k)
	}
	return true
}

// newKeySpan reads one key specification. ok is false unless that says, in a form that
// Redis knows, where the keys are.
func newKeySpan(v replyValue) (k keySpan, ok bool) {
	begin, find := v.field("begin_search"), v.field("find_keys")
	at, how := begin.field("spec"), find.field("spec")
	known := true
	place := func(v replyValue, name string) int {
		n, ok := v.field(name).place()
		known = known && ok
		return n
	}
	switch begin.field("type").text {
	case "index":
		k.from = place(at, "index")
	case "keyword":
		k.keyword = strings.ToLower(at.field("keyword").text)
		k.from = place(at, "startfrom")
		known = known && k.keyword != ""
	default:
		return k, false
	}
	switch find.field("type").text {
	case "range":
		k.last, k.limit = place(how, "lastkey"), place(how, "limit")
	case "keynum":
		k.counted = true
		k.number, k.first = place(how, "keynumidx"), place(how, "firstkey")
		known = known && k.number >= 0 && k.first >= 0
	default:
		return k, false
	}
	k.step = max(place(how, "keystep"), 1)
	return k, known
}

// moves tells whether the keys' places depend on the words.
func (k keySpan) moves() bool { return k.counted || k.keyword != "" }

// locate says what becomes of a request for the command in a pool of that many servers,
// and finds its keys, or says why it is not served. It may extend r.Args by spans of
// keys.
func (l *lesson) locate(r *msg.Request, servers int) (how msg.Treatment, why string) {
	l = l.calledBy(r)
	if l.blocks {
		how = msg.Block
	}
	words := len(r.Args)
	switch {
	case l.reason == hiddenKeys && servers == 1:
	case l.reason != "":
		return how, l.reason
	case words < l.minArgs:
		return how, wrongArity
	}
	for i := range l.specs {
		k := &l.specs[i]
		first, last, ok := k.find(r, words)
		if !ok {
			continue
		}
		if len(l.specs) == 1 {
			r.FirstKey, r.KeyStep, r.Nkeys = first, k.step, (last-first)/k.step+1
			break
		}
		if r.Nkeys += (last-first)/k.step + 1; r.Nkeys > words {
			break
		}
		for at := first; at <= last; at += k.step {
			r.Args = append(r.Args, r.Args[at])
		}
		r.FirstKey, r.KeyStep = words, 1
	}
	switch {
	case r.Nkeys > words:
		// The specifications count some words as several keys.
		r.Args = r.Args[:words]
		r.FirstKey, r.KeyStep, r.Nkeys = 0, 0, 0
		return how, hiddenKeys
	case r.Nkeys > 0:
	case servers == 1:
		// Any word will do to find the one server.
		r.FirstKey, r.KeyStep, r.Nkeys = 0, 1, 1
	case len(l.specs) > 0 && words > 1:
		// A server will say what is wrong with the words.
		r.FirstKey, r.KeyStep, r.Nkeys = 1, 1, 1
	default:
		return how, noServer
	}
	return how, ""
}

// calledBy is the subcommand that a request calls, or l itself.
func (l *lesson) calledBy(r *msg.Request) *lesson {
	if sub := l.sub(r); sub != nil {
		return sub
	}
	return l
}

// sub is the subcommand that the request's second word names, or nil.
func (l *lesson) sub(r *msg.Request) *lesson {
	if len(l.subs) == 0 || len(r.Args) < 2 || r.Args[1].Len > maxLearnedName {
		return nil
	}
	var buf, low [maxLearnedName]byte
	word := r.Args[1]
	b, _ := r.View.Bytes(int(word.Off), int(word.Len), buf[:0])
	name := lower(low[:0], b)
	at := slices.IndexFunc(l.subs, func(s *lesson) bool {
		_, sub, _ := strings.Cut(s.name, "|")
		return sub == string(name)
	})
	if at < 0 {
		return nil
	}
	return l.subs[at]
}

// find returns the places of the first and the last key, among the given number of
// words. ok is false if there are no keys, or if a key would be where there is no word.
func (k *keySpan) find(r *msg.Request, words int) (first, last int, ok bool) {
	begin := k.from
	if k.keyword != "" {
		begin = k.findWord(r, words)
	}
	if begin <= 0 || begin >= words {
		return 0, 0, false
	}
	first = begin
	switch {
	case k.counted:
		if begin+k.number >= words { // neither is negative
			return 0, 0, false
		}
		n, isNumber := number(r, begin+k.number)
		if !isNumber || n <= 0 || n > int64(words) {
			return 0, 0, false
		}
		first = begin + k.first
		last = first + (int(n)-1)*k.step
	case k.last >= 0:
		last = first + k.last
	case k.limit > 1:
		last = first + (words-first)/k.limit + k.last
	default:
		last = words + k.last
	}
	return first, last, first > 0 && last >= first && last < words
}

// begins tells whether there is a word where the keys begin. Without one there are no such keys:
// neither behind a keyword that is not among the words, nor behind the last word.
func (k *keySpan) begins(r *msg.Request, words int) bool {
	if k.keyword == "" {
		return k.from < words
	}
	at := k.findWord(r, words)
	return at > 0 && at < words
}

// findWord returns the place after the keyword, or 0.
func (k *keySpan) findWord(r *msg.Request, words int) int {
	if k.from < 0 {
		for i := words + k.from; i > 0; i-- {
			if isWord(r, i, k.keyword) {
				return i + 1
			}
		}
		return 0
	}
	for i := max(k.from, 1); i < words; i++ {
		if isWord(r, i, k.keyword) {
			return i + 1
		}
	}
	return 0
}

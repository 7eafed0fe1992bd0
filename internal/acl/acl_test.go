package acl

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// table is a small table of commands.
var table = NewTable([]Command{
	{},
	{Name: "get", Categories: CategoriesOf("read", "string", "fast"), Keyed: true, Uniform: true, Access: Read},
	{Name: "mget", Categories: CategoriesOf("read", "string", "fast"), Keyed: true},
	{Name: "exists", Categories: CategoriesOf("keyspace", "read", "fast"), Keyed: true, Uniform: true},
	{Name: "set", Categories: CategoriesOf("write", "string", "slow"), Keyed: true, Uniform: true, Access: readWrite},
	{Name: "del", Categories: CategoriesOf("keyspace", "write", "slow"), Keyed: true},
	{Name: "copy", Categories: CategoriesOf("keyspace", "write", "slow"), Keyed: true},
	{Name: "publish", Categories: CategoriesOf("pubsub", "fast")},
	{Name: "subscribe", Categories: CategoriesOf("pubsub", "slow")},
	{Name: "select", Categories: CategoriesOf("connection", "fast")},
	{Name: "config", Categories: CategoriesOf("slow")},
	{Name: "config|get", Categories: CategoriesOf("admin", "dangerous", "slow")},
	{Name: "config|set", Categories: CategoriesOf("admin", "dangerous", "slow")},
	{Name: "auth", Categories: CategoriesOf("connection", "fast"), Free: true},
	{Name: "flushall", Categories: CategoriesOf("keyspace", "write", "slow", "dangerous"), EveryDatabase: true},
	{Name: "delex", Categories: CategoriesOf("write", "string", "fast"), Keyed: true, Newer: true},
})

// build returns the users of an aclfile that must be right.
func build(t testing.TB, previous *Users, lines ...string) *Users {
	t.Helper()
	b := NewBuilder(table)
	b.File("users.acl", []byte(strings.Join(lines, "\n")))
	us, err := b.Build(previous)
	if err != nil {
		t.Fatal(err)
	}
	return us
}

// one returns a user with these rules.
func one(t testing.TB, rules string) *User {
	t.Helper()
	return build(t, nil, "user u "+rules).Named([]byte("u"))
}

// number is a command's number.
func number(t testing.TB, name string) int {
	t.Helper()
	n, ok := table.named(name)
	if !ok {
		t.Fatal("no command ", name)
	}
	return n
}

// TestLines: rules make what ACL LIST prints.
func TestLines(t *testing.T) {
	hash := func(p string) string { return fmt.Sprintf("#%x", sha256.Sum256([]byte(p))) }
	for _, tt := range []struct{ rules, want string }{
		{"", "off resetchannels -@all"},
		{"on nopass ~* &* +@all", "on nopass ~* &* +@all"},
		{"ON ALLKEYS allchannels AllCommands", "on ~* &* +@all"},
		{"on >secret", "on " + hash("secret") + " resetchannels -@all"},
		{"on >a >b >a <a", "on " + hash("b") + " resetchannels -@all"},
		{"on >a nopass", "on nopass resetchannels -@all"},
		{"on nopass >a", "on " + hash("a") + " resetchannels -@all"},
		{"on >a resetpass", "on resetchannels -@all"},
		{hash("x") + " !" + hash("x")[1:], "off resetchannels -@all"},
		{"~a* %R~b* %W~c* %RW~d* %wr~e*", "off ~a* %R~b* %W~c* ~d* ~e* resetchannels -@all"},
		{"%R~a %W~a", "off ~a resetchannels -@all"},
		{"~a resetkeys ~b", "off ~b resetchannels -@all"},
		{"~a allkeys resetkeys", "off resetchannels -@all"},
		{"&a &b &a", "off resetchannels &a &b -@all"},
		{"&* resetchannels &a", "off resetchannels &a -@all"},
		{"+get", "off resetchannels -@all +get"},
		{"+GET -get", "off resetchannels -@all"},
		{"+@all -get", "off resetchannels +@all -get"},
		{"+@pubsub", "off resetchannels -@all +@pubsub"},
		{"+@all -@pubsub", "off resetchannels +@all -@pubsub"},
		{"+config", "off resetchannels -@all +@admin +config"},
		{"+config|get", "off resetchannels -@all +config|get"},
		{"+config -config|set", "off resetchannels -@all +config -config|set"},
		{"+select|0 +select|1 +SELECT|0", "off resetchannels -@all +select|0 +select|1"},
		{"+select|0 +select", "off resetchannels -@all +select"},
		{"sanitize-payload", "off sanitize-payload resetchannels -@all"},
		{"skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all"},
		{"on ~a +get reset", "off sanitize-payload resetchannels -@all"},
		{"(+get ~a) (+set  %W~b &c)", "off resetchannels -@all (~a resetchannels -@all +get) (%W~b resetchannels &c -@all +set)"},
		{"(+get ~a) clearselectors", "off resetchannels -@all"},
		{"db=3,1,3", "off resetchannels db=1,3 -@all"},
		{"db=3 alldbs", "off resetchannels -@all"},
		{"db=3 resetdbs", "off resetchannels resetdbs -@all"},
		{"+json.get -Json.Set +json.debug|memory", "off resetchannels -@all +json.get -json.set +json.debug|memory"},
	} {
		if got, want := one(t, tt.rules).Line(), "user u "+tt.want; got != want {
			t.Errorf("%s\n is %s\nwant %s", tt.rules, got, want)
		}
	}
}

// TestLineIsRule: what is printed makes the same user.
func TestLineIsRule(t *testing.T) {
	for _, rules := range []string{
		"", "on nopass ~* &* +@all", "on >p ~a* %R~b* &c +@read -get +config|get (+@write %W~x db=2)", "+@all -@dangerous -config|get +select|0", "+@all -json.get",
	} {
		u := one(t, rules)
		again := build(t, nil, u.Line()).Named([]byte("u"))
		if again.Line() != u.Line() {
			t.Errorf("%s is %s, and that is %s", rules, u.Line(), again.Line())
		}
	}
}

// TestFaults: each rule that is wrong is told, with file and line, in Redis's words.
func TestFaults(t *testing.T) {
	for _, tt := range []struct{ line, want string }{
		{"usr a on", "users.acl:1: should start with user keyword followed by the username"},
		{"user", "users.acl:1: should start with user keyword followed by the username"},
		{"user a +nosuch", "users.acl:1: user 'a': rule '+nosuch': Unknown command or category name in ACL"},
		{"user a -nosuch", "users.acl:1: user 'a': rule '-nosuch': Unknown command or category name in ACL"},
		{"user a +@nosuch", "users.acl:1: user 'a': rule '+@nosuch': Unknown command or category name in ACL"},
		{"user a +config|nosuch", "users.acl:1: user 'a': rule '+config|nosuch': Unknown command or category name in ACL"},
		{"user a -select|0", "users.acl:1: user 'a': rule '-select|0': Unknown command or category name in ACL"},
		{"user a +config|get|x", "users.acl:1: user 'a': rule '+config|get|x': Allowing first-arg of a subcommand is not supported"},
		{"user a +select|", "users.acl:1: user 'a': rule '+select|': Syntax error"},
		{"user a foo", "users.acl:1: user 'a': rule '(not shown)': Syntax error"},
		{"user a %X~a", "users.acl:1: user 'a': rule '%X~a': Syntax error"},
		{"user a %~a", "users.acl:1: user 'a': rule '%~a': Syntax error"},
		{"user a %RR~a", "users.acl:1: user 'a': rule '%RR~a': Syntax error"},
		{"user a ~* ~a", "users.acl:1: user 'a': rule '~a': " + afterKeys},
		{"user a &* &a", "users.acl:1: user 'a': rule '&a': " + afterChannels},
		{"user a <p", "users.acl:1: user 'a': rule '(not shown)': The password you are trying to remove from the user does not exist"},
		{"user a #abc", "users.acl:1: user 'a': rule '(not shown)': The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"},
		{"user a #" + strings.Repeat("A", 64), "users.acl:1: user 'a': rule '(not shown)': The password hash must be exactly 64 characters and contain only lowercase hexadecimal characters"},
		{"user a (+get", "users.acl:1: user 'a': rule '(not shown)': Unmatched parenthesis in selector definition"},
		{"user a (+get on)", "users.acl:1: user 'a': rule '(not shown)': Syntax error"},
		{"user a db=x", "users.acl:1: user 'a': rule '(not shown)': Syntax error"},
		{"user a db=", "users.acl:1: user 'a': rule '(not shown)': Syntax error"},
		{"user a db=-1", "users.acl:1: user 'a': rule '(not shown)': The provided database ID is out of range"},
		{"# nobody yet\n\n", "users.acl: the file has no users: write some, or leave 'acl_file' out"},
		{"user a on\nuser a on", "users.acl:2: user 'a': Duplicate user found. A user can only be defined once in config files"},
		{"user a on foo +nosuch", "users.acl:1: user 'a': rule '(not shown)': Syntax error\nusers.acl:1: user 'a': rule '+nosuch': Unknown command or category name in ACL"},
	} {
		b := NewBuilder(table)
		b.File("users.acl", []byte(tt.line))
		us, err := b.Build(nil)
		if us != nil || err == nil || err.Error() != tt.want {
			t.Errorf("%s\n is %v\nwant %s", tt.line, err, tt.want)
		}
		if _, ok := errors.AsType[*RuleError](err); !ok {
			t.Errorf("%s: no RuleError", tt.line)
		}
	}
	u := newUser(table, "u")
	for range maxSelectors - 1 {
		if why := u.apply(table, "(+get)"); why != "" {
			t.Fatal(why)
		}
	}
	if why := u.apply(table, "(+get)"); why != tooManySelectors {
		t.Error(why)
	}
}

// TestFaultsHidePasswords: by whatever slip a password is in a wrong rule, the fault does not
// show it.
func TestFaultsHidePasswords(t *testing.T) {
	for _, rules := range []string{
		"(+get ~a >s3cret", "(~a >s3cret)", "on > s3cret", `">s3cret"`, "on\t>s3cret", "+nosuch\t>s3cret", "+get>s3cret", "~* ~a>s3cret",
		"~* ~a\u00a0s3cret", "%X#s3cret", "-get!s3cret", "+get<s3cret", "s3cret", "on s3cret", "onn>s3cret", "nopas s3cret", "<s3cret", "#s3cret", "!s3cret",
	} {
		b := NewBuilder(table)
		b.File("users.acl", []byte("user alice "+rules))
		b.User("test.yml", "bob", rules)
		b.add("test.yml", 0, "carol", []string{rules})
		us, err := b.Build(nil)
		if us != nil || err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", rules, err)
		}
	}
}

// TestNamesLikePasswords: a password where a name should be is in no message.
func TestNamesLikePasswords(t *testing.T) {
	for _, name := range []string{">s3cret", "#s3cret", "<s3cret", "!s3cret"} {
		b := NewBuilder(table)
		b.File("users.acl", []byte("user "+name+" +nosuch\nuser "+name+" on"))
		b.User("test.yml", name, "foo")
		us, err := b.Build(nil)
		if us != nil || err == nil || strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "users.acl:1: user '(not shown)': rule '+nosuch'") {
			t.Errorf("%s: %v", name, err)
		}
		if got := b.Warnings(); len(got) != 1 || strings.Contains(got[0], "s3cret") {
			t.Errorf("%s: the warnings are %q", name, got)
		}
	}
}

// TestFile: comments, empty lines and line ends of Windows are no faults.
func TestFile(t *testing.T) {
	us := build(t, nil, "# users", "", "user b on  nopass +get ~x\r", "\tuser a off")
	var names []string
	for _, u := range us.All() {
		names = append(names, u.Name())
	}
	if !slices.Equal(names, []string{"a", "b", "default"}) || us.Named([]byte("b")).Line() != "user b on nopass ~x resetchannels -@all +get" {
		t.Error(names, us.Named([]byte("b")).Line())
	}
	if d := us.Default(); d.Line() != "user default on nopass ~* &* +@all" || !d.IsUnlimited() || d.Number() != 0 {
		t.Error(d.Line())
	}
}

// TestNumbers: users keep their numbers, and a number is not given to somebody else while a loop may
// still have the users from before.
func TestNumbers(t *testing.T) {
	first := build(t, nil, "user a on", "user b on")
	second := build(t, first, "user b on", "user c on")
	number := func(us *Users, name string) uint16 { return us.Named([]byte(name)).Number() }
	if number(second, "b") != number(first, "b") || number(second, "c") == number(first, "a") {
		t.Error(number(first, "a"), number(first, "b"), number(second, "b"), number(second, "c"))
	}
	if second.ByNumber(number(first, "a")) != nil || second.ByNumber(number(first, "b")) != second.Named([]byte("b")) || second.ByNumber(65535) != nil {
		t.Error("a number leads to the wrong user")
	}
	second.next = 65535
	third := build(t, second, "user b on", "user d on", "user e on")
	if number(third, "d") != 65535 || number(third, "e") == 0 || number(third, "e") == number(third, "b") {
		t.Error(number(third, "b"), number(third, "d"), number(third, "e"))
	}
}

// TestLogin: a user needs one of his passwords, and must be on.
func TestLogin(t *testing.T) {
	us := build(t, nil, "user a on >x >y", "user b off >x", "user c on nopass", "user d on")
	for _, tt := range []struct {
		name, password string
		want           bool
	}{
		{"a", "x", true},
		{"a", "y", true},
		{"a", "z", false},
		{"a", "", false},
		{"b", "x", false},
		{"c", "any", true},
		{"c", "", true},
		{"d", "", false},
		{"d", "x", false},
		{"e", "x", false},
		{"e", "", false},
		{"default", "any", true},
	} {
		u, ok := us.Login([]byte(tt.name), []byte(tt.password))
		if ok != tt.want || ok && u.Name() != tt.name || !ok && u != nil {
			t.Errorf("%s with %q: %t", tt.name, tt.password, ok)
		}
	}
	b := NewBuilder(table)
	b.DefaultPassword(sha256.Sum256([]byte("now")), sha256.Sum256([]byte("before")))
	us, err := b.Build(nil)
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{"now": true, "before": true, "": false, "other": false} {
		if _, ok := us.Login([]byte(DefaultName), []byte(password)); ok != want {
			t.Errorf("%q: %t", password, ok)
		}
	}
	if allocs := testing.AllocsPerRun(100, func() { us.Login([]byte("nobody"), []byte("x")) }); allocs > 0 {
		t.Error(allocs, " allocations")
	}
}

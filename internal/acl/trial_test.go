package acl

import "testing"

// try judges a request that is written like one: names with "r:", "w:", "rw:" or "?:" before them are
// keys, "&" and "&&" are before channels and patterns of channels, "@" before databases.
func try(t testing.TB, u *User, command string, db int, words ...string) Verdict {
	t.Helper()
	var first []byte
	if len(words) > 0 {
		first = []byte(words[0])
	}
	trial := u.Begin(number(t, command), first, db)
	for i, w := range words {
		switch w[0] {
		case '@':
			trial.Database(int(w[1]-'0'), i+1)
		case 'r':
			trial.Key([]byte(w[2:]), Read, i+1)
		case 'w':
			trial.Key([]byte(w[2:]), Write, i+1)
		case '?':
			trial.Key([]byte(w[2:]), 0, i+1)
		case '&':
			if w[1] == '&' {
				trial.Channel([]byte(w[2:]), true, i+1)
				continue
			}
			trial.Channel([]byte(w[1:]), false, i+1)
		}
	}
	return trial.Verdict()
}

// TestTrial: one selector must allow everything, and of what is denied the worst is told.
func TestTrial(t *testing.T) {
	for _, tt := range []struct {
		rules, command string
		db             int
		words          []string
		want           Verdict
	}{
		{"+get ~a*", "get", 0, []string{"r:ab"}, Verdict{}},
		{"+get ~a*", "get", 0, []string{"r:b"}, Verdict{DeniedKey, 1}},
		{"+get ~a*", "set", 0, []string{"w:a"}, Verdict{DeniedCommand, 0}},
		{"+@all", "get", 0, []string{"r:a"}, Verdict{DeniedKey, 1}},
		{"", "auth", 0, nil, Verdict{}},
		{"+copy %R~a %W~b", "copy", 0, []string{"r:a", "w:b"}, Verdict{}},
		{"+copy %R~a %W~b", "copy", 0, []string{"r:b", "w:a"}, Verdict{DeniedKey, 1}},
		{"+copy %R~a %W~b", "copy", 0, []string{"?:b", "?:a"}, Verdict{}},
		{"+copy ~a ~b (+copy ~*)", "copy", 0, []string{"r:c", "w:d"}, Verdict{}},
		{"+copy ~a (+copy ~b)", "copy", 0, []string{"r:a", "w:b"}, Verdict{DeniedKey, 2}},
		{"+copy ~a (+get ~b)", "copy", 0, []string{"r:b", "w:b"}, Verdict{DeniedKey, 1}},
		{"+publish &a*", "publish", 0, []string{"&ab"}, Verdict{}},
		{"+publish &a*", "publish", 0, []string{"&b"}, Verdict{DeniedChannel, 1}},
		{"+subscribe &a*", "subscribe", 0, []string{"&ab", "&b"}, Verdict{DeniedChannel, 2}},
		{"+subscribe &a*", "subscribe", 0, []string{"&&a*"}, Verdict{}},
		{"+subscribe &a*", "subscribe", 0, []string{"&&ab*"}, Verdict{DeniedChannel, 1}},
		{"+select|0", "select", 0, []string{"0"}, Verdict{}},
		{"+select|0", "select", 0, []string{"1"}, Verdict{DeniedCommand, 0}},
		{"+select|0", "select", 0, nil, Verdict{DeniedCommand, 0}},
		{"+config -config|set", "config|get", 0, nil, Verdict{}},
		{"+config -config|set", "config|set", 0, nil, Verdict{DeniedCommand, 0}},
		{"+@all ~* db=1", "get", 1, []string{"r:a"}, Verdict{}},
		{"+@all ~* db=1", "get", 0, []string{"r:a"}, Verdict{DeniedDatabase, 0}},
		{"+@all ~* db=1", "flushall", 1, nil, Verdict{DeniedDatabase, 0}},
		{"+@all ~* db=1", "select", 0, []string{"@1"}, Verdict{}},
		{"+@all ~* db=1", "select", 0, []string{"@2"}, Verdict{DeniedDatabase, 1}},
		{"+@all ~* db=1 (+get ~b)", "get", 0, []string{"r:a"}, Verdict{DeniedKey, 1}},
	} {
		u := one(t, tt.rules)
		if got := try(t, u, tt.command, tt.db, tt.words...); got != tt.want {
			t.Errorf("%s: %s %q in %d: %v, want %v", tt.rules, tt.command, tt.words, tt.db, got, tt.want)
		}
	}
}

// TestOtherCommands: commands that the table lacks are allowed by name, by category, or with
// all commands. The last rule counts.
func TestOtherCommands(t *testing.T) {
	get := Other{Name: "json.get", Categories: CategoriesOf("@json", "@read"), Keyed: true}
	memory := Other{Name: "json.debug", Sub: []byte("MEMORY"), Categories: CategoriesOf("json")}
	for _, tt := range []struct {
		rules string
		what  Other
		want  bool
	}{
		{"", get, false},
		{"+@all", get, true},
		{"+@all -json.get", get, false},
		{"-json.get +@all", get, true},
		{"+json.get", get, true},
		{"+json.get -@all", get, false},
		{"+@read", get, true},
		{"+@json -@read", get, false},
		{"-@read +@json", get, true},
		{"+@write", get, false},
		{"+@all -@json +json.get", get, true},
		{"+json.debug", memory, true},
		{"+json.debug|memory", memory, true},
		{"+json.debug|help", memory, false},
		{"+@all -json.debug|memory", memory, false},
		{"+json.deb", memory, false},
	} {
		trial := one(t, tt.rules+" ~*").BeginOther(&tt.what, 0)
		if v := trial.Verdict(); v.IsAllowed() != tt.want {
			t.Errorf("%s: %s: %v", tt.rules, tt.what.Name, v)
		}
	}
	trial := one(t, "+@all ~* db=1").BeginOther(&get, 0)
	if v := trial.Verdict(); v.Denial != DeniedDatabase {
		t.Error(v)
	}
}

// TestUnknownNames: what cannot be looked at needs a selector without limits there.
func TestUnknownNames(t *testing.T) {
	for rules, want := range map[string]Denial{"+get %RW~?*": DeniedKey, "+get ~*": Allowed} {
		trial := one(t, rules).Begin(number(t, "get"), nil, 0)
		trial.UnknownKeys(1)
		if v := trial.Verdict(); v.Denial != want {
			t.Error(rules, v)
		}
	}
	for rules, want := range map[string]Denial{"+publish &?*": DeniedChannel, "+publish &*": Allowed} {
		trial := one(t, rules).Begin(number(t, "publish"), nil, 0)
		trial.UnknownChannels(1)
		if v := trial.Verdict(); v.Denial != want {
			t.Error(rules, v)
		}
	}
	for rules, want := range map[string]Denial{"+get ~a": DeniedSortBy, "+get %W~* ~a": DeniedSortBy, "+get %R~*": Allowed, "+get ~*": Allowed, "+set ~*": DeniedCommand} {
		trial := one(t, rules).Begin(number(t, "get"), nil, 0)
		trial.EveryKey(DeniedSortBy, 3)
		if v := trial.Verdict(); v.Denial != want {
			t.Error(rules, v)
		}
	}
}

// TestNobody: in place of a user who is no more there is one who may do nothing.
func TestNobody(t *testing.T) {
	nobody := build(t, nil, "user a on").Nobody()
	if v := try(t, nobody, "get", 0, "r:a"); v.Denial != DeniedCommand || nobody.IsUnlimited() || nobody.IsOn() || nobody.MayListen([]byte("c"), false) {
		t.Error("nobody may do something: ", v)
	}
}

// TestMayListen: a living subscription needs its channel in any selector.
func TestMayListen(t *testing.T) {
	u := one(t, "&a* (&b)")
	for name, want := range map[string]bool{"ab": true, "b": true, "c": false} {
		if got := u.MayListen([]byte(name), false); got != want {
			t.Error(name, got)
		}
	}
	if !u.MayListen([]byte("a*"), true) || u.MayListen([]byte("ab*"), true) {
		t.Error("a pattern is not taken as it is")
	}
}

// TestSameRules: passwords are no rules; everything else is.
func TestSameRules(t *testing.T) {
	all := []string{"", "+get", "+get ~a", "+get %R~a", "&a", "&*", "db=1", "db=1,2", "+select|0", "+select|1", "+@all", "+@all +json.get", "(+get)"}
	for i, a := range all {
		for k, b := range all {
			if got := one(t, a).SameRules(one(t, "on >p "+b)); got != (i == k) {
				t.Errorf("%q and %q: %t", a, b, got)
			}
		}
	}
}

// BenchmarkTrial judges a GET of users with few and with many rules.
func BenchmarkTrial(b *testing.B) {
	key := []byte("user:1234:profile")
	for name, rules := range map[string]string{
		"onePattern":  "+@read ~user:*",
		"tenPatterns": "+@read ~a:* ~b:* ~c:* ~d:* ~e:* ~f:* ~g:* ~h:* ~i:* ~user:*",
		"selectors":   "+set (+del ~a:*) (+get ~b:*) (+get ~user:*:profile)",
	} {
		u, get := one(b, rules), number(b, "get")
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				trial := u.Begin(get, key, 0)
				if trial.LooksAtKeys() {
					trial.Key(key, Read, 1)
				}
				if v := trial.Verdict(); !v.IsAllowed() {
					b.Fatal(v)
				}
			}
		})
	}
}

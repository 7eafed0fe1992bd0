package acl

import "testing"

// FuzzFile: whatever an aclfile says, it is refused with faults, or makes users whose lines
// make the same users.
func FuzzFile(f *testing.F) {
	for _, text := range []string{
		"user a on >p ~a* %R~b* &c +@read -get +config|get (+@write %W~x db=2)", "user a on\nuser a off", "user default nopass +@all ~* &*",
		"user a (+get", "user a +select|0 -@all +json.get|x ~[a-", "usr", "user a db=1,2,,", "# x\n\n user b reset !", "user a %RW~ ()",
	} {
		f.Add([]byte(text), []byte("a:1"))
	}
	f.Fuzz(func(t *testing.T, text, key []byte) {
		b := NewBuilder(table)
		b.File("f", text)
		us, err := b.Build(nil)
		if (us == nil) == (err == nil) {
			t.Fatal(us, err)
		}
		if us == nil {
			if err.Error() == "" {
				t.Error("a fault without a text")
			}
			return
		}
		again := NewBuilder(table)
		for _, u := range us.All() {
			again.File("again", []byte(u.Line()))
		}
		same, err := again.Build(us)
		if err != nil {
			t.Fatalf("%q makes lines that are refused: %v", text, err)
		}
		for _, u := range us.All() {
			o := same.Named([]byte(u.Name()))
			if o == nil || o.Line() != u.Line() || o.Number() != u.Number() {
				t.Fatalf("%s is not the same as %v", u.Line(), o)
			}
			for number := range table.commands {
				x, y := u.Begin(number, key, 1), o.Begin(number, key, 1)
				x.Key(key, Read, 1)
				y.Key(key, Read, 1)
				x.Channel(key, false, 1)
				y.Channel(key, false, 1)
				if letsOne(u, number, key) {
					z := u.Begin(number, key, 1)
					z.Key(key, table.commands[number].Access, 1)
					if !z.Verdict().IsAllowed() {
						t.Fatalf("%s allows at once what it forbids: %s %q", u.Line(), table.commands[number].Name, key)
					}
				}
				if x.Verdict() != y.Verdict() {
					t.Fatalf("%s: %v, and again %v", u.Line(), x.Verdict(), y.Verdict())
				}
			}
		}
	})
}

package lint

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"nuthatch/internal/msg"
)

const troubleshooting = "docs/TROUBLESHOOTING.md"

// gap stands for what a program puts into a text.
const gap = "\x00"

// verb is what a format puts into its text.
var verb = regexp.MustCompile(`%[-+#.0-9]*[a-zA-Z]`)

// constantText is the text of an expression, with gaps for what is not constant.
func constantText(e ast.Expr) (text string, ok bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != token.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return verb.ReplaceAllString(text, gap), err == nil
	case *ast.ParenExpr:
		return constantText(e.X)
	case *ast.BinaryExpr:
		a, hasA := constantText(e.X)
		b, hasB := constantText(e.Y)
		if !hasA {
			a = gap
		}
		if !hasB {
			b = gap
		}
		return a + b, e.Op == token.ADD && (hasA || hasB)
	case *ast.CallExpr:
		if sel, ok := e.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Sprintf" && len(e.Args) > 0 {
			return constantText(e.Args[0])
		}
	}
	return "", false
}

// longest is the longest constant piece of a text, without line ends and what follows
// or goes before a gap.
func longest(text string) string {
	best := ""
	for piece := range strings.SplitSeq(text, gap) {
		if piece = strings.Trim(piece, " \r\n:;,'()`\"-"); len(piece) > len(best) {
			best = piece
		}
	}
	return best
}

// complaints are the packages whose errors are for operators.
var complaints = []string{
	"internal/config", "internal/daemon", "internal/admin", "internal/ctl", "internal/check", "internal/socket", "cmd/nuthatch",
}

// complains returns the argument of a call that is a text for whoever has to act on
// it, or nil: an error, a fault of the configuration, a line of the log above notices.
func complains(f *source, call *ast.CallExpr, receiver, name string) ast.Expr {
	args := call.Args
	first := func(n int) ast.Expr {
		if len(args) > n {
			return args[n]
		}
		return nil
	}
	switch {
	case name == "Warn" || name == "Error" && len(args) > 0:
		return first(0)
	case name == "Log" && len(args) > 1:
		return first(1)
	case !matches(complaints, f.dir):
		return nil
	case receiver == "errors" && name == "New", receiver == "fmt" && name == "Errorf":
		return first(0)
	case name == "fault", name == "warn":
		return first(3)
	case receiver == "" && name == "fail":
		return first(2)
	}
	return nil
}

// toClients begins what clients are answered.
var toClients = regexp.MustCompile(`^-?(ERR|NOAUTH|CROSSSLOT|EXECABORT|WRONGPASS|NOPROTO|SERVER_ERROR|CLIENT_ERROR) `)

// texts returns the texts that somebody may have to look up, and all constant texts.
func texts(t *testing.T) (wanted map[string]string, all []string) {
	t.Helper()
	wanted = map[string]string{}
	want := func(f *source, at token.Pos, text string) {
		if piece := longest(text); strings.Contains(piece, " ") && len(piece) > len("in the way") {
			wanted[piece] = f.at(at)
		}
	}
	for _, f := range tree(t) {
		if f.test || matches(outside, f.dir) {
			continue
		}
		protocol := matches([]string{"internal/proto/..."}, f.dir)
		ast.Inspect(f.ast, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			if call, is := e.(*ast.CallExpr); is {
				receiver, name := "", ""
				switch fun := call.Fun.(type) {
				case *ast.Ident:
					name = fun.Name
				case *ast.SelectorExpr:
					name = fun.Sel.Name
					if x, ok := fun.X.(*ast.Ident); ok {
						receiver = x.Name
					}
				}
				if arg := complains(f, call, receiver, name); arg != nil {
					if text, ok := constantText(arg); ok {
						want(f, arg.Pos(), text)
					}
				}
			}
			text, ok := constantText(e)
			if !ok {
				return true
			}
			all = append(all, text)
			if protocol && toClients.MatchString(text) {
				want(f, e.Pos(), toClients.ReplaceAllString(text, ""))
			}
			_, isCall := e.(*ast.CallExpr)
			return isCall
		})
	}
	return wanted, all
}

// An entry is a row of the page: the texts in its first cell.
type entry struct {
	section string
	texts   []string
}

// entries are the rows of the page's tables.
func entries(doc string) []entry {
	var found []entry
	section := ""
	code := regexp.MustCompile("``(.+?)``|`([^`]+)`")
	for line := range strings.Lines(doc) {
		if title, ok := strings.CutPrefix(line, "## "); ok {
			section = strings.TrimSpace(title)
		}
		cells := strings.Split(line, " | ")
		if !strings.HasPrefix(line, "| ") || len(cells) < 3 || strings.HasPrefix(cells[0], "| text") {
			continue
		}
		e := entry{section: section}
		for _, m := range code.FindAllStringSubmatch(cells[0], -1) {
			e.texts = append(e.texts, strings.TrimSpace(m[1]+m[2]))
		}
		found = append(found, e)
	}
	return found
}

// TestTroubleshooting: each text that somebody may have to look up is in the page, and
// each text in the page is one that the program says.
func TestTroubleshooting(t *testing.T) {
	doc := entries(page(t, troubleshooting))
	var shown []string
	for _, e := range doc {
		if len(e.texts) == 0 {
			t.Errorf("%s: a row of %q without a text", troubleshooting, e.section)
		}
		shown = append(shown, e.texts...)
	}
	listed := strings.Join(shown, "\n")
	wanted, all := texts(t)
	for piece, at := range wanted {
		if !strings.Contains(listed, piece) {
			t.Errorf("%s: %s has no entry for %q: say there what it means and what to do", at, troubleshooting, piece)
		}
	}
	said := strings.Join(all, "\n")
	for _, e := range doc {
		for _, shown := range e.texts {
			for piece := range strings.SplitSeq(shown, "...") {
				if piece = strings.TrimSpace(piece); len(piece) > 1 && !strings.Contains(said, piece) {
					t.Errorf("%s: nothing says %q any more (%q)", troubleshooting, piece, shown)
				}
			}
		}
	}
}

// TestTroubleshootingHasEveryReason: the table of reasons has the text and the name of
// each msg.Reason, and nothing else.
func TestTroubleshootingHasEveryReason(t *testing.T) {
	var got, want []string
	for _, e := range entries(page(t, troubleshooting)) {
		if strings.HasPrefix(e.section, "Reasons") && len(e.texts) == 2 {
			got = append(got, e.texts[0]+" "+e.texts[1])
		}
	}
	for r := msg.OK + 1; r < msg.NumReasons; r++ {
		want = append(want, r.String()+" "+r.Name())
	}
	slices.Sort(got)
	slices.Sort(want)
	for _, r := range want {
		if !slices.Contains(got, r) {
			t.Errorf("%s has no row for the reason %q", troubleshooting, r)
		}
	}
	for _, r := range got {
		if !slices.Contains(want, r) {
			t.Errorf("%s has a row for %q, which is no reason", troubleshooting, r)
		}
	}
}

// markup is what a text of the page has and the program's does not: code, and links.
var markup = regexp.MustCompile("`|\\[([^\\]]*)\\]\\([^)]*\\)")

// TestTroubleshootingExplainsReasons: the page says of each reason what the program says.
func TestTroubleshootingExplainsReasons(t *testing.T) {
	doc := markup.ReplaceAllString(page(t, troubleshooting), "$1")
	for r := msg.OK + 1; r < msg.NumReasons; r++ {
		if want := " " + r.Name() + " | " + r.Meaning() + " | " + r.Advice() + " |"; !strings.Contains(doc, want) {
			t.Errorf("%s does not say of %s what internal/msg/reason_help.go says: %q", troubleshooting, r.Name(), want)
		}
	}
}

package main

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"nuthatch/internal/ctl"
	"nuthatch/internal/testkit"
)

const completionsPath = "../../packaging/completions/"

// TestCompletions compares what shells complete with the tables of options and commands.
func TestCompletions(t *testing.T) {
	for name, text := range map[string]string{
		"nuthatch.bash": bashCompletion(), "_nuthatch": zshCompletion(), "nuthatch.fish": fishCompletion(),
	} {
		testkit.CheckFile(t, completionsPath+name, manualsCommand, text, *update)
	}
}

// TestShellsComplete asks the shells themselves. zsh completes only at a terminal: it reads its
// file, and what the file calls is checked.
func TestShellsComplete(t *testing.T) {
	bash := func(words ...string) string {
		script := fmt.Sprintf("source %snuthatch.bash; COMP_WORDS=(%s ''); COMP_WORDS[-1]=%q; COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _nuthatch; "+
			`printf '%%s\n' "${COMPREPLY[@]}"`, completionsPath, strings.Join(words[:len(words)-1], " "), words[len(words)-1])
		return shellOutput(t, "bash", "--norc", "-c", script)
	}
	fish := func(words ...string) string {
		return shellOutput(t, "fish", "--no-config", "-c",
			fmt.Sprintf("source %snuthatch.fish; complete -C %q", completionsPath, strings.Join(words, " ")))
	}
	for _, tt := range []struct {
		words []string
		want  []string
		not   string
	}{
		{[]string{"nuthatch", "c"}, []string{"ctl", "check"}, "top"},
		{[]string{"nuthatch", "--stats-p"}, []string{"--stats-port"}, "--pid-file"},
		{[]string{"nuthatch", "ctl", "st"}, []string{"status", "stats"}, "reload"},
		{[]string{"nuthatch", "ctl", "-a", "127.0.0.1:1", "re"}, []string{"ready", "reload", "reconnect", "resume"}, "status"},
		{[]string{"nuthatch", "ctl", "--wi"}, []string{"--window"}, "--stats-port"},
		{[]string{"nuthatch", "check", "--ke"}, []string{"--keys"}, "--limit"},
		{[]string{"nuthatch", "check", "e"}, []string{"engine"}, "events"},
		{[]string{"nuthatch", "-c", "main_t"}, []string{"main_test.go"}, "ctl"},
		{[]string{"nuthatch", "ctl", "preview", "main_t"}, []string{"main_test.go"}, "status"},
	} {
		for shell, complete := range map[string]func(...string) string{"bash": bash, "fish": fish} {
			var got []string
			for line := range strings.Lines(complete(tt.words...)) {
				word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
				got = append(got, word)
			}
			for _, want := range tt.want {
				if !slices.Contains(got, want) {
					t.Errorf("%s: %q completes to %q, without %s", shell, tt.words, got, want)
				}
			}
			if slices.Contains(got, tt.not) {
				t.Errorf("%s: %q completes to %q", shell, tt.words, got)
			}
		}
	}
	shellOutput(t, "zsh", "-f", "-n", completionsPath+"_nuthatch")
	for _, want := range []string{"'ctl:", "'status:", "--stats-port=}"} {
		if !strings.Contains(zshCompletion(), want) {
			t.Errorf("zsh's completion has no %s", want)
		}
	}
}

func shellOutput(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(testkit.Program(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// names are an option's ways to be written.
func (o *option) names() []string {
	names := []string{"--" + o.long}
	if o.short != 0 {
		names = append([]string{"-" + string(o.short)}, names...)
	}
	return names
}

// namesOf are the names of a table's options, of those with one of these arguments, or of all.
func namesOf(table []option, arguments ...argument) []string {
	var names []string
	for _, o := range table {
		if len(arguments) == 0 || slices.Contains(arguments, o.argument) {
			names = append(names, o.names()...)
		}
	}
	return names
}

func mainOptions() []option { return (&flags{}).table(nuthatch) }

// The commands of ctl whose arguments are files.
var takesFile = []string{"preview"}

func verbs() []string {
	var names []string
	for _, c := range ctl.Commands() {
		names = append(names, c.Name)
	}
	return names
}

const completionHead = "# Completion of nuthatch for %s. Written by `" + manualsCommand + "`. Do not edit.\n"

func bashCompletion() string {
	var b strings.Builder
	fmt.Fprintf(&b, completionHead, "bash")
	b.WriteString(`_nuthatch()
{
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
    local options files values words='' verb='' i
    case $COMP_CWORD:${COMP_WORDS[1]} in
`)
	for _, c := range commands() {
		writeBashTable(&b, "[!1]:"+c.name+"|[1-9][0-9]:"+c.name, c.options())
		switch c.name {
		case "ctl":
			fmt.Fprintf(&b, "            words='%s'\n", strings.Join(verbs(), " "))
		case "check":
			fmt.Fprintf(&b, "            words='%s'\n", checkedEngine)
		}
		b.WriteString("            ;;\n")
	}
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	writeBashTable(&b, "*", mainOptions())
	fmt.Fprintf(&b, "            ((COMP_CWORD == 1)) && words='%s'\n            ;;\n    esac\n", strings.Join(names, " "))
	fmt.Fprintf(&b, `    if [[ " $files " == *" $prev "* ]]; then
        COMPREPLY=($(compgen -f -- "$cur"))
        return
    elif [[ " $values " == *" $prev "* ]]; then
        COMPREPLY=()
        return
    fi
    for ((i = 2; i < COMP_CWORD; i++)); do
        if [[ " $files $values " != *" ${COMP_WORDS[i - 1]} "* && ${COMP_WORDS[i]} != -* ]]; then
            verb=${COMP_WORDS[i]}
            break
        fi
    done
    if [[ $cur == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$cur"))
    elif [[ -z $verb ]]; then
        COMPREPLY=($(compgen -W "$words" -- "$cur"))
    elif [[ " %s " == *" $verb "* ]]; then
        COMPREPLY=($(compgen -f -- "$cur"))
    fi
}
complete -o filenames -F _nuthatch nuthatch
`, strings.Join(takesFile, " "))
	return b.String()
}

func writeBashTable(b *strings.Builder, pattern string, table []option) {
	fmt.Fprintf(b, "        %s)\n            options='%s'\n            files='%s'\n            values='%s'\n", pattern,
		strings.Join(namesOf(table), " "), strings.Join(namesOf(table, fileName), " "), strings.Join(namesOf(table, number, text), " "))
}

func zshCompletion() string {
	var b strings.Builder
	b.WriteString("#compdef nuthatch\n")
	fmt.Fprintf(&b, completionHead, "zsh")
	b.WriteString("_nuthatch() {\n    local -a commands\n    if (( CURRENT > 2 )); then\n        case $words[2] in\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "            %s)\n                shift words\n                (( CURRENT-- ))\n", c.name)
		switch c.name {
		case "ctl":
			b.WriteString("                commands=(\n")
			for _, verb := range ctl.Commands() {
				fmt.Fprintf(&b, "                    '%s:%s'\n", verb.Name, zshText(verb.Help))
			}
			b.WriteString("                )\n")
			writeZshArguments(&b, "                ", c.options(), "'1:command:{ _describe command commands }'", "'*:argument:_files'")
		case "check":
			writeZshArguments(&b, "                ", c.options(), "'1:what:("+checkedEngine+")'")
		default:
			writeZshArguments(&b, "                ", c.options())
		}
		b.WriteString("                return ;;\n")
	}
	b.WriteString("        esac\n    else\n        commands=(\n")
	for _, c := range commands() {
		fmt.Fprintf(&b, "            '%s:%s'\n", c.name, zshText(c.help))
	}
	b.WriteString("        )\n    fi\n")
	writeZshArguments(&b, "    ", mainOptions(), "'1:command:{ _describe command commands }'")
	b.WriteString("}\n_nuthatch \"$@\"\n")
	return b.String()
}

func writeZshArguments(b *strings.Builder, indent string, table []option, operands ...string) {
	b.WriteString(indent + "_arguments -s")
	line := " \\\n" + indent + "    "
	for _, o := range table {
		action := ""
		switch o.argument {
		case noArgument:
		case fileName:
			action = ":file:_files"
		case number, text:
			action = ":" + string(o.argument) + ":"
		}
		long := "--" + o.long
		if o.argument != noArgument {
			long += "="
		}
		help := "[" + zshText(o.help) + "]" + action
		if o.short == 0 {
			fmt.Fprintf(b, "%s'%s%s'", line, long, help)
			continue
		}
		short := "-" + string(o.short)
		if o.argument != noArgument {
			short += "+"
		}
		fmt.Fprintf(b, "%s'(-%c --%s)'{%s,%s}'%s'", line, o.short, o.long, short, long, help)
	}
	for _, operand := range operands {
		b.WriteString(line + operand)
	}
	b.WriteString("\n")
}

// zshText keeps zsh from reading a text as anything else, within single quotes.
func zshText(text string) string {
	return strings.NewReplacer(`\`, `\\`, `'`, `'\''`, `[`, `\[`, `]`, `\]`, `:`, `\:`).Replace(text)
}

func fishCompletion() string {
	var b strings.Builder
	fmt.Fprintf(&b, completionHead, "fish")
	b.WriteString("complete -c nuthatch -f\n")
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
		fmt.Fprintf(&b, "complete -c nuthatch -n __fish_use_subcommand -a %s -d %s\n", c.name, fishText(c.help))
	}
	writeFishOptions(&b, "not __fish_seen_subcommand_from "+strings.Join(names, " "), mainOptions())
	for _, c := range commands() {
		writeFishOptions(&b, "__fish_seen_subcommand_from "+c.name, c.options())
	}
	fmt.Fprintf(&b, "complete -c nuthatch -n '__fish_seen_subcommand_from check' -a %s -d 'whether io_uring can be used'\n", checkedEngine)
	no := "__fish_seen_subcommand_from ctl; and not __fish_seen_subcommand_from " + strings.Join(verbs(), " ")
	for _, c := range ctl.Commands() {
		fmt.Fprintf(&b, "complete -c nuthatch -n %s -a %s -d %s\n", fishText(no), c.Name, fishText(c.Help))
	}
	for _, name := range takesFile {
		fmt.Fprintf(&b, "complete -c nuthatch -n '__fish_seen_subcommand_from %s' -F\n", name)
	}
	return b.String()
}

func writeFishOptions(b *strings.Builder, condition string, table []option) {
	for _, o := range table {
		fmt.Fprintf(b, "complete -c nuthatch -n %s", fishText(condition))
		if o.short != 0 {
			fmt.Fprintf(b, " -s %c", o.short)
		}
		fmt.Fprintf(b, " -l %s", o.long)
		switch o.argument {
		case noArgument:
		case fileName:
			b.WriteString(" -r -F")
		case number, text:
			b.WriteString(" -x")
		}
		fmt.Fprintf(b, " -d %s\n", fishText(o.help))
	}
}

func fishText(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

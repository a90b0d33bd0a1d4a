package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
)

const aboutCompletion = `
Prints the script that completes commands and flags in a shell: completion bash,
completion zsh or completion fish.

    bash:  source <(twochat-connector completion bash)
    zsh:   source <(twochat-connector completion zsh)
    fish:  twochat-connector completion fish | source

To have it in every new shell, add that line to the shell's start file (.bashrc,
.zshrc, config.fish).
`

// shells are the supported shells.
func shells() map[string]func([]completed) string {
	return map[string]func([]completed) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
}

func shellNames() []string { return slices.Sorted(maps.Keys(shells())) }

// completed is a command to complete.
type completed struct {
	name, summary string
	words         []string // one of which follows the command
	flags         []completedFlag
}

type completedFlag struct {
	name   string
	valued bool     // a value follows
	words  []string // the possible values; nil if the value is free or a file
}

// runCompletion is the command completion.
func runCompletion(ctx context.Context, p *cli.Program, args []string) error {
	words, err := p.ParseWords(cli.NewFlags(p), args, aboutCompletion, strings.Join(shellNames(), "|"))
	if err != nil {
		return err
	}
	script, found := shells()[strings.Join(words, " ")]
	if !found {
		return cli.Usage("expected a shell after completion, one of %s", strings.Join(shellNames(), ", "))
	}
	return writeAll(p.Out, []byte(script(completions(ctx))))
}

// completions asks the commands for their flags.
func completions(ctx context.Context) []completed {
	var list []completed
	for _, c := range commands() {
		one := completed{name: c.name, summary: c.summary, words: c.words}
		p := &cli.Program{Name: c.name, Out: io.Discard, Err: io.Discard, Describe: func(flags *flag.FlagSet) {
			flags.VisitAll(func(f *flag.Flag) {
				kind, _ := flag.UnquoteUsage(f)
				one.flags = append(one.flags, completedFlag{f.Name, kind != "", cli.Choices(f)})
			})
		}}
		_ = c.run(ctx, p, []string{"--help"}) // --help only describes the flags
		list = append(list, one)
	}
	return list
}

// words lists the commands and help, which is followed by one of them.
func words(list []completed) string {
	var names []string
	for _, c := range list {
		names = append(names, c.name)
	}
	return strings.Join(append(names, "help"), " ")
}

func (c completed) flagWords() string {
	var names []string
	for _, f := range c.flags {
		names = append(names, "--"+f.name)
	}
	return strings.Join(append(names, "--help"), " ")
}

// filesPattern matches the flags whose value is completed as a file name.
func (c completed) filesPattern() string {
	var names []string
	for _, f := range c.flags {
		if f.valued && f.words == nil {
			names = append(names, "--"+f.name)
		}
	}
	return strings.Join(names, "|")
}

func bashCompletion(list []completed) string {
	var out strings.Builder
	fmt.Fprintf(&out, "# bash completion of twochat-connector\n_twochat_connector() {\n"+
		"  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n  COMPREPLY=()\n"+
		"  if ((COMP_CWORD == 1)) || [[ ${COMP_WORDS[1]} == help ]]; then\n"+
		"    COMPREPLY=($(compgen -W %q -- \"$current\"))\n    return\n  fi\n  case ${COMP_WORDS[1]} in\n", words(list))
	for _, c := range list {
		fmt.Fprintf(&out, "  %s)\n", c.name)
		if c.words != nil {
			fmt.Fprintf(&out, "    if ((COMP_CWORD == 2)) && [[ $current != -* ]]; then\n"+
				"      COMPREPLY=($(compgen -W %q -- \"$current\"))\n      return\n    fi\n", strings.Join(c.words, " "))
		}
		out.WriteString("    case $before in\n")
		for _, f := range c.flags {
			if f.words != nil {
				fmt.Fprintf(&out, "    --%s) COMPREPLY=($(compgen -W %q -- \"$current\")); return ;;\n", f.name,
					strings.Join(f.words, " "))
			}
		}
		if files := c.filesPattern(); files != "" {
			fmt.Fprintf(&out, "    %s) COMPREPLY=($(compgen -f -- \"$current\")); return ;;\n", files)
		}
		fmt.Fprintf(&out, "    esac\n    COMPREPLY=($(compgen -W %q -- \"$current\")) ;;\n", c.flagWords())
	}
	out.WriteString("  esac\n}\ncomplete -F _twochat_connector twochat-connector\n")
	return out.String()
}

func zshCompletion(list []completed) string {
	var out strings.Builder
	fmt.Fprintf(&out, "#compdef twochat-connector\n_twochat_connector() {\n"+
		"  if ((CURRENT == 2)) || [[ $words[2] == help ]]; then\n    compadd -- %s\n    return\n  fi\n"+
		"  case $words[2] in\n", words(list))
	for _, c := range list {
		fmt.Fprintf(&out, "  %s)\n", c.name)
		if c.words != nil {
			fmt.Fprintf(&out, "    if ((CURRENT == 3)) && [[ $words[3] != -* ]]; then\n"+
				"      compadd -- %s\n      return\n    fi\n", strings.Join(c.words, " "))
		}
		out.WriteString("    case $words[CURRENT-1] in\n")
		for _, f := range c.flags {
			if f.words != nil {
				fmt.Fprintf(&out, "    --%s) compadd -- %s; return ;;\n", f.name, strings.Join(f.words, " "))
			}
		}
		if files := c.filesPattern(); files != "" {
			fmt.Fprintf(&out, "    %s) _files; return ;;\n", files)
		}
		fmt.Fprintf(&out, "    esac\n    compadd -- %s ;;\n", c.flagWords())
	}
	out.WriteString("  esac\n}\ncompdef _twochat_connector twochat-connector\n")
	return out.String()
}

func fishCompletion(list []completed) string {
	var out strings.Builder
	out.WriteString("# fish completion of twochat-connector\ncomplete -c twochat-connector -e\n")
	quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	for _, c := range list {
		fmt.Fprintf(&out, "complete -c twochat-connector -f -n __fish_use_subcommand -a %s -d '%s'\n", c.name,
			quoted.Replace(c.summary))
		if c.words != nil {
			one := strings.Join(c.words, " ")
			fmt.Fprintf(&out, "complete -c twochat-connector -f -n '__fish_seen_subcommand_from %s; "+
				"and not __fish_seen_subcommand_from %s' -a '%s'\n", c.name, one, one)
		}
		for _, f := range append(c.flags, completedFlag{name: "help"}) {
			value := ""
			switch {
			case f.words != nil:
				value = " -x -a '" + strings.Join(f.words, " ") + "'"
			case f.valued:
				value = " -r"
			}
			fmt.Fprintf(&out, "complete -c twochat-connector -n '__fish_seen_subcommand_from %s' -l %s%s\n", c.name, f.name, value)
		}
	}
	fmt.Fprintf(&out, "complete -c twochat-connector -f -n __fish_use_subcommand -a help\n"+
		"complete -c twochat-connector -f -n '__fish_seen_subcommand_from help' -a '%s'\n", words(list))
	return out.String()
}

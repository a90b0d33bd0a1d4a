package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/cli"
)

const aboutCompletion = `
Prints what completes commands and flags in a shell: completion bash, completion zsh or completion fish.

    bash:  source <(twochat-connector completion bash)
    zsh:   source <(twochat-connector completion zsh)
    fish:  twochat-connector completion fish | source

A line of these in the shell's own start file (.bashrc, .zshrc, config.fish) completes from the next shell on.
`

// completed is a command as a shell completes it.
type completed struct {
	name, summary string
	flags         []completedFlag
}

type completedFlag struct {
	name   string
	valued bool // a value follows it
}

// runCompletion is the command completion.
func runCompletion(ctx context.Context, p *cli.Program, args []string) error {
	shell := ""
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		shell, args = args[0], args[1:]
	}
	if err := p.Parse(cli.NewFlags(p), args, aboutCompletion); err != nil {
		return err
	}
	var script func([]completed) string
	switch shell {
	case "bash":
		script = bashCompletion
	case "zsh":
		script = zshCompletion
	case "fish":
		script = fishCompletion
	default:
		return cli.Usage("expected a shell: completion bash, completion zsh or completion fish")
	}
	return writeAll(p.Out, []byte(script(completions(ctx))))
}

// flagOfHelp is a flag as the help of a command lists it, with a word for its value where it takes one.
var flagOfHelp = regexp.MustCompile(`(?m)^  --([a-z-]+)( .*)?$`)

// completions reads the commands and their flags from what they say of themselves.
func completions(ctx context.Context) []completed {
	var list []completed
	for _, c := range commands() {
		var help bytes.Buffer
		_ = c.run(ctx, &cli.Program{Name: c.name, Out: &help, Err: &help}, []string{"--help"}) // that it only helped
		one := completed{name: c.name, summary: c.summary}
		for _, found := range flagOfHelp.FindAllStringSubmatch(help.String(), -1) {
			one.flags = append(one.flags, completedFlag{found[1], found[2] != ""})
		}
		list = append(list, one)
	}
	return list
}

// words lists the commands, and help, which takes one of them.
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

// valuedPattern matches the flags after which a value comes, and not another flag.
func (c completed) valuedPattern() string {
	var names []string
	for _, f := range c.flags {
		if f.valued {
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
		if valued := c.valuedPattern(); valued != "" {
			fmt.Fprintf(&out, "    case $before in %s) COMPREPLY=($(compgen -f -- \"$current\")); return ;; esac\n", valued)
		}
		fmt.Fprintf(&out, "    COMPREPLY=($(compgen -W %q -- \"$current\")) ;;\n", c.flagWords())
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
		if valued := c.valuedPattern(); valued != "" {
			fmt.Fprintf(&out, "    case $words[CURRENT-1] in %s) _files; return ;; esac\n", valued)
		}
		fmt.Fprintf(&out, "    compadd -- %s ;;\n", c.flagWords())
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
		for _, f := range append(c.flags, completedFlag{name: "help"}) {
			value := ""
			if f.valued {
				value = " -r"
			}
			fmt.Fprintf(&out, "complete -c twochat-connector -n '__fish_seen_subcommand_from %s' -l %s%s\n", c.name, f.name, value)
		}
	}
	fmt.Fprintf(&out, "complete -c twochat-connector -f -n __fish_use_subcommand -a help\n"+
		"complete -c twochat-connector -f -n '__fish_seen_subcommand_from help' -a '%s'\n", words(list))
	return out.String()
}

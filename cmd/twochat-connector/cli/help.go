package cli

import (
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/twochat-connector/twochat-connector/cmd/twochat-connector/text"
	"github.com/twochat-connector/twochat-connector/config"
)

// HelpWidth is the width of help texts in columns. It fits a terminal, and half a screen.
const HelpWidth = 80

// printHelp prints the help of a command. forms are how it is written after its name; none if only flags follow.
func (p *Program) printHelp(flags *flag.FlagSet, about string, forms []string) {
	if len(forms) == 0 {
		forms = []string{""}
	}
	last := ""
	flags.VisitAll(func(*flag.Flag) { last = " [flags]" })
	for _, form := range forms {
		fmt.Fprintf(p.Out, "twochat-connector %s%s\n", strings.TrimSpace(p.Name+" "+form), last)
	}
	fmt.Fprintf(p.Out, "\n%s\n", layOut(about))
	first := true
	flags.VisitAll(func(f *flag.Flag) {
		if first {
			fmt.Fprint(p.Out, "\nFlags:\n")
			first = false
		}
		kind, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(p.Out, "  --%s", f.Name)
		if kind != "" {
			fmt.Fprintf(p.Out, " %s", strings.ToUpper(kind))
		}
		if preset := presetOf(f); preset != "" {
			usage += " (default " + preset + ")"
		}
		fmt.Fprintf(p.Out, "\n%s\n", text.Paragraph(usage, "        ", HelpWidth))
	})
}

// presetOf is the default value of a flag; "" if there is none.
func presetOf(f *flag.Flag) string {
	if value, ok := f.Value.(flag.Getter); ok {
		switch preset := value.Get().(type) {
		case bool:
			return ""
		case time.Duration:
			return config.FormatDuration(preset)
		}
	}
	return f.DefValue
}

// layOut fills the lines of a text's paragraphs. Indented lines, such as commands, are left unchanged.
func layOut(about string) string {
	var lines []string
	paragraph := ""
	end := func() {
		if paragraph != "" {
			lines = append(lines, text.Paragraph(paragraph, "", HelpWidth))
		}
		paragraph = ""
	}
	for line := range strings.SplitSeq(strings.TrimSpace(about), "\n") {
		if line == "" || strings.HasPrefix(line, " ") {
			end()
			lines = append(lines, line)
			continue
		}
		paragraph += line + " "
	}
	end()
	return strings.Join(lines, "\n")
}

package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"tidegate.dev/controlplane/cli/declarative"
	"tidegate.dev/controlplane/cli/openapi"
)

func (a *app) importCommand() *cobra.Command {
	return group("import", "Turn descriptions of APIs into files", a.importOpenAPICommand())
}

// notesShown is how many notes are printed unless all are asked for.
const notesShown = 5

func (a *app) importOpenAPICommand() *cobra.Command {
	var options openapi.Options
	var out string
	var verbose bool
	command := &cobra.Command{
		Use: "openapi FILE", Short: "Turn an OpenAPI 3 description into a service and a route for each operation",
		Long: `Turn an OpenAPI 3 description (JSON or YAML, "-" for standard input) into a declarative file: one service, and one route for
each operation, named after its operationId. The file goes to standard output or --out; nothing is published.

A path of the description's server is put behind the service's URL, unless --url has a path of its own. With --prefix, the
routes begin with it, and so does the path that the upstream sees. A parameter whose value may hold slashes
(x-multi-segment) matches the rest of the path when it stands at the end.`,
		Example: `  tidegate import openapi petstore.yaml --service pets --url http://127.0.0.1:9001 > pets.yaml
  tidegate import openapi api.github.com.json --service github --url https://api.github.com --out github.yaml
  tidegate apply -f github.yaml`,
		Args: takes(1, 1, `a file, or "-" for standard input`),
		RunE: func(_ *cobra.Command, args []string) error { return a.importOpenAPI(args[0], options, out, verbose) },
	}
	flags := command.Flags()
	flags.StringVar(&options.Service, "service", "", "name of the service (required)")
	flags.StringVar(&options.URL, "url", "", "where the service is (default: the description's first server)")
	flags.StringVar(&options.Prefix, "prefix", "", "path to put before every route")
	flags.StringVar(&options.NamePrefix, "name-prefix", "", "text to put before the name of every route")
	flags.StringVar(&out, "out", "", "file to write (default: standard output)")
	flags.BoolVarP(&verbose, "verbose", "v", false, "print every note, not only the first few")
	_ = command.MarkFlagRequired("service") // fails only for a flag that is not there
	return command
}

func (a *app) importOpenAPI(file string, options openapi.Options, out string, verbose bool) error {
	content, err := a.readInput(file)
	if err != nil {
		return err
	}
	result, err := openapi.Convert(content, options)
	if err != nil {
		return fmt.Errorf("importing %s: %w", file, err)
	}
	var written bytes.Buffer
	if err := declarative.Write(&written, first(a.fleet, a.env("TIDEGATE_FLEET")), result.Resources); err != nil {
		return err
	}
	set, err := declarative.Parse("the imported file", written.Bytes())
	if err != nil {
		return err
	}
	if err := set.Check(); err != nil {
		return refused(err)
	}
	if out == "" {
		_, err = a.out.Write(written.Bytes())
	} else {
		err = os.WriteFile(out, written.Bytes(), 0o644) //nolint:gosec // no secret is in it
	}
	if err != nil {
		return fmt.Errorf("writing the file: %w", err)
	}
	fmt.Fprintf(a.err, "%s became %s to the service %s\n",
		count(result.Operations, "operation"), count(len(result.Resources)-1, "route"), options.Service)
	a.notes(result.Notes, verbose)
	return nil
}

func (a *app) notes(notes []string, verbose bool) {
	shown := notes
	if !verbose {
		shown = notes[:min(len(notes), notesShown)]
	}
	for _, note := range shown {
		fmt.Fprintln(a.err, "  note: "+printable(note))
	}
	if more := len(notes) - len(shown); more > 0 {
		fmt.Fprintf(a.err, "  and %s; --verbose shows all\n", count(more, "more note"))
	}
}

// maxDescription bounds what is read of a description, in bytes. GitHub's has 13 MB.
const maxDescription = 256 << 20

func (a *app) readInput(file string) ([]byte, error) {
	source := a.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer f.Close() //nolint:errcheck // only read from
		source = f
	}
	content, err := io.ReadAll(io.LimitReader(source, maxDescription+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, err)
	}
	if len(content) > maxDescription {
		return nil, fmt.Errorf("reading %s: it is larger than %d MiB", file, maxDescription>>20)
	}
	return content, nil
}

package cli

import (
	"errors"
	"regexp"
	"strconv"

	"github.com/spf13/cobra"

	"tidegate.dev/controlplane/cli/client"
	"tidegate.dev/controlplane/cli/declarative"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// fileOptions are what apply, diff and validate have in common.
type fileOptions struct {
	files    []string
	prune    bool
	message  string
	strategy string
	publish  publishFlags
	// draft opens a change set instead of publishing.
	draft  bool
	expect []string
}

func (o *fileOptions) register(command *cobra.Command) {
	flags := command.Flags()
	flags.StringArrayVarP(&o.files, "file", "f", nil, `file or folder to read, "-" for standard input; may be given several times`)
	_ = command.MarkFlagFilename("file", "yaml", "yml") // fails only for a flag that is not there
	flags.BoolVar(&o.prune, "prune", false, "delete what the files do not name, of the kinds that they mention (\"routes: []\" mentions routes)")
}

// load reads the files and checks them against the rules of the schema.
func (a *app) load(options fileOptions) (*declarative.Set, error) {
	if len(options.files) == 0 {
		return nil, usage("say which file: -f FILE, or -f - for standard input")
	}
	set, err := declarative.Load(options.files, a.in)
	if err != nil {
		return nil, refused(err)
	}
	return set, refused(set.Check())
}

// refused makes an exit of problems in files: they are printed as they are, one line each, as compilers do.
func refused(err error) error {
	var problems declarative.Problems
	if errors.As(err, &problems) {
		return &exit{code: ExitError, message: problems.Error()}
	}
	return err
}

func applyRequest(fleet string, set *declarative.Set, options fileOptions) *adminv1.ApplyRequest {
	request := &adminv1.ApplyRequest{
		Fleet: fleet, Resources: set.Messages(), Message: options.message, Strategy: options.strategy,
		Options: options.publish.options(), DraftOnly: options.draft,
	}
	if options.prune {
		for _, kind := range set.Kinds {
			request.PruneKinds = append(request.PruneKinds, kind.Collection())
		}
	}
	return request
}

// elementOf matches a violation of a field of the request rather than of a resource.
var elementOf = regexp.MustCompile(`^resources\[(\d+)\]\.?(?:(?:service|route|plugin|plan|consumer|certificate|secret|block|test)\.)?(.*)$`)

// located puts what the control plane complained about at its place in the files.
func located(err error, set *declarative.Set) error {
	var problem *client.Problem
	if !errors.As(err, &problem) || len(problem.Violations) == 0 {
		return err
	}
	var problems declarative.Problems
	for _, v := range problem.Violations {
		resource, field := v.Resource, v.Field
		if match := elementOf.FindStringSubmatch(field); match != nil && resource == "" {
			if i, err := strconv.Atoi(match[1]); err == nil && i < len(set.Resources) {
				resource, field = set.Resources[i].Reference(), match[2]
			}
		}
		problems = append(problems, set.Locate(resource, field, v.Message))
	}
	return &exit{code: ExitError, message: problem.Title + ":\n" + problems.Error()}
}

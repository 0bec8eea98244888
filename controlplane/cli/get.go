package cli

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"tidegate.dev/controlplane/cli/client"
	"tidegate.dev/controlplane/cli/declarative"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// page is how many things are asked for at once.
const page = 1000

type getOptions struct {
	filter string
	view   string
	limit  int
}

func (a *app) getCommand() *cobra.Command {
	var options getOptions
	command := &cobra.Command{
		Use:   "get KIND [NAME]",
		Short: "Show resources, or one",
		Long: `Show resources, or one.

KIND is services, routes, plugins, plans, tests, consumers, certificates, secrets, blocks, strategies, agents, revisions,
rollouts, changeSets or fleets; the singular will do. "all" is everything that a file can hold.

With -o yaml, resources are written as the file that 'apply' takes, so that applying it changes nothing. Private keys of
certificates and values of secrets cannot be read back; "all" leaves both kinds out.`,
		Example: `  tidegate get routes
  tidegate get routes --filter 'labels.team=shop'
  tidegate get route orders -o yaml > orders.yaml
  tidegate get all -o yaml > everything.yaml
  tidegate get routes --view stable       # what has proved itself, not what was published last`,
		Args: takes(1, 2, "a kind, and a name if you want one of them"),
		RunE: func(command *cobra.Command, args []string) error {
			return a.get(command.Context(), args, options)
		},
		ValidArgsFunction: a.completeResources,
	}
	command.Flags().StringVar(&options.filter, "filter", "", `"name:prefix" or "labels.key=value"; several are joined by " AND "`)
	command.Flags().StringVar(&options.view, "view", "", `"head" (the default: what was published last) or "stable" (what has proved itself)`)
	command.Flags().IntVar(&options.limit, "limit", 0, "show at most so many (default: all; of revisions, rollouts and change sets 20)")
	return command
}

func (a *app) get(ctx context.Context, args []string, options getOptions) error {
	c, fleet, err := a.connect()
	if err != nil {
		return err
	}
	if args[0] == "all" && len(args) == 1 {
		return a.getAll(ctx, c, fleet, options)
	}
	l, err := findListing(args[0])
	if err != nil {
		return err
	}
	if len(args) == 2 {
		one := l.one()
		if err := c.Get(ctx, l.path(fleet, args[1]), viewOf(l, options), one); err != nil {
			return err
		}
		return a.printListing(l, fleet, one, []proto.Message{one})
	}
	list, err := collect(ctx, c, l, l.path(fleet), options)
	if err != nil {
		return err
	}
	return a.printListing(l, fleet, list, items(list))
}

// path is where the kind's things are, or the named one.
func (l listing) path(fleet string, name ...string) string {
	if l.global {
		return client.Path(append([]string{l.collection}, name...)...)
	}
	return client.Path(append([]string{"fleets", fleet, l.collection}, name...)...)
}

func viewOf(l listing, options getOptions) url.Values {
	query := url.Values{}
	if l.kind != 0 && options.view != "" {
		query.Set("view", options.view)
	}
	return query
}

// collect reads all pages of a list into one answer.
func collect(ctx context.Context, c *client.Client, l listing, path string, options getOptions) (proto.Message, error) {
	query := viewOf(l, options)
	if options.filter != "" {
		query.Set("filter", options.filter)
	}
	limit := options.limit
	if limit == 0 && (l.collection == "revisions" || l.collection == "rollouts" || l.collection == "changeSets") {
		limit = 20
	}
	all := l.list()
	for {
		if l.paged() {
			query.Set("page_size", strconv.Itoa(pageSize(limit, len(items(all)))))
		}
		next := l.list()
		if err := c.Get(ctx, path, query, next); err != nil {
			return nil, err
		}
		token := nextPage(next)
		proto.Merge(all, next)
		if token == "" || limit > 0 && len(items(all)) >= limit {
			clearNextPage(all)
			return all, nil
		}
		query.Set("page_token", token)
	}
}

func pageSize(limit, have int) int {
	if limit > 0 {
		return min(page, limit-have)
	}
	return page
}

// paged says whether the list comes in pages.
func (l listing) paged() bool {
	return l.list().ProtoReflect().Descriptor().Fields().ByName("next_page_token") != nil
}

func nextPage(list proto.Message) string {
	message := list.ProtoReflect()
	if field := message.Descriptor().Fields().ByName("next_page_token"); field != nil {
		return message.Get(field).String()
	}
	return ""
}

func clearNextPage(list proto.Message) {
	message := list.ProtoReflect()
	if field := message.Descriptor().Fields().ByName("next_page_token"); field != nil {
		message.Clear(field)
	}
}

// printListing shows things of one kind: of a file's kinds, YAML is the file.
func (a *app) printListing(l listing, fleet string, answer proto.Message, things []proto.Message) error {
	if a.output == "yaml" && l.kind != 0 {
		return declarative.Write(a.out, fleet, resources(things))
	}
	return a.print(answer, func(w io.Writer) {
		header := make([]string, len(l.columns))
		for i, column := range l.columns {
			header[i] = column.title
		}
		now := time.Now()
		var rows [][]string
		for _, thing := range things {
			row := make([]string, len(l.columns))
			for i, column := range l.columns {
				row[i] = cell(thing.ProtoReflect(), column.path, now)
			}
			rows = append(rows, row)
		}
		table(w, header, rows)
	})
}

// resources makes what a file holds of what the API answers: without what the control plane says about it.
func resources(things []proto.Message) []*adminv1.Resource {
	var found []*adminv1.Resource
	for _, thing := range things {
		message := thing.ProtoReflect()
		fields := message.Descriptor().Fields()
		labels := make(map[string]string)
		message.Get(fields.ByName("labels")).Map().Range(func(key protoreflect.MapKey, value protoreflect.Value) bool {
			labels[key.String()] = value.String()
			return true
		})
		found = append(found, declarative.NewResource(
			message.Get(fields.ByName("name")).String(), labels, message.Get(fields.ByName("spec")).Message().Interface()))
	}
	return found
}

// getAll shows everything that a file can hold and that can be read back.
func (a *app) getAll(ctx context.Context, c *client.Client, fleet string, options getOptions) error {
	response := &adminv1.ChangeSet{}
	for _, l := range listings() {
		if l.kind == 0 || l.collection == "certificates" || l.collection == "secrets" {
			continue
		}
		list, err := collect(ctx, c, l, l.path(fleet), options)
		if err != nil {
			return err
		}
		response.Upserts = append(response.Upserts, resources(items(list))...)
	}
	if a.output == "yaml" {
		return declarative.Write(a.out, fleet, response.GetUpserts())
	}
	return a.print(response, func(w io.Writer) {
		var rows [][]string
		for _, r := range response.GetUpserts() {
			rows = append(rows, []string{declarative.KindOf(r).Collection(), r.GetName()})
		}
		table(w, []string{"KIND", "NAME"}, rows)
	})
}

func (a *app) deleteCommand() *cobra.Command {
	var watch watchOptions
	command := &cobra.Command{
		Use:   "delete KIND NAME",
		Short: "Delete a resource, and watch the rollout that takes it out of traffic",
		Example: `  tidegate delete route orders
  tidegate delete agent 4e0f2c          # forget an agent that is gone
  tidegate delete changeset cs_8f2      # abandon a draft`,
		Args: takes(2, 2, "a kind and a name"),
		RunE: func(command *cobra.Command, args []string) error {
			c, fleet, err := a.connect()
			if err != nil {
				return err
			}
			l, err := findListing(args[0])
			if err != nil {
				return err
			}
			header, err := c.Do(command.Context(), client.Call{Method: http.MethodDelete, Path: l.path(fleet, args[1])}, nil)
			if err != nil {
				return err
			}
			published := &adminv1.PublishResponse{Rollout: header.Get("Tidegate-Rollout")}
			if n, err := strconv.ParseInt(header.Get("Tidegate-Revision"), 10, 32); err == nil {
				published.Revision = int32(n)
			}
			return a.follow(command.Context(), c, fleet, outcome{deleted: 1, published: published}, watch)
		},
		ValidArgsFunction: a.completeResources,
	}
	watch.register(command)
	return command
}

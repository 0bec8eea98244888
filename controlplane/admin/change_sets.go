package admin

import (
	"context"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"tidegate.dev/controlplane/config"
	"tidegate.dev/controlplane/identity"
	"tidegate.dev/controlplane/store"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// changeSetServer is the API of drafts, and of applying many resources at once.
type changeSetServer struct {
	adminv1.UnimplementedChangeSetServiceServer
	*Server
}

// ListChangeSets implements adminv1.ChangeSetServiceServer.
func (s *changeSetServer) ListChangeSets(ctx context.Context, r *adminv1.ListChangeSetsRequest) (*adminv1.ListChangeSetsResponse, error) {
	found, next, err := s.config.ChangeSets(ctx, r.GetFleet(), config.ListOptions{
		Filter: r.GetFilter(), PageSize: pageSize(r.GetPageSize()), PageToken: r.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	answer := &adminv1.ListChangeSetsResponse{NextPageToken: next}
	for _, one := range found {
		one.Edits = nil
		answer.ChangeSets = append(answer.ChangeSets, showChangeSet(one))
	}
	return answer, nil
}

// GetChangeSet implements adminv1.ChangeSetServiceServer.
func (s *changeSetServer) GetChangeSet(ctx context.Context, r *adminv1.GetChangeSetRequest) (*adminv1.ChangeSet, error) {
	found, err := s.config.ChangeSet(ctx, r.GetFleet(), r.GetId())
	return answerChangeSet(ctx, found, err)
}

// CreateChangeSet implements adminv1.ChangeSetServiceServer.
func (s *changeSetServer) CreateChangeSet(ctx context.Context, r *adminv1.CreateChangeSetRequest) (*adminv1.ChangeSet, error) {
	made, err := s.config.CreateChangeSet(ctx, callOf(ctx).who.Name, r.GetFleet(), r.GetChangeSet().GetMessage())
	return answerChangeSet(ctx, made, err)
}

// DeleteChangeSet implements adminv1.ChangeSetServiceServer.
func (s *changeSetServer) DeleteChangeSet(ctx context.Context, r *adminv1.DeleteChangeSetRequest) (*emptypb.Empty, error) {
	err := s.config.AbandonChangeSet(ctx, callOf(ctx).who.Name, r.GetFleet(), r.GetId(), incoming(ctx, headerIfMatch))
	return &emptypb.Empty{}, err
}

// EditChangeSet implements adminv1.ChangeSetServiceServer.
func (s *changeSetServer) EditChangeSet(ctx context.Context, r *adminv1.EditChangeSetRequest) (*adminv1.ChangeSet, error) {
	edits := make([]config.Edit, 0, len(r.GetUpserts())+len(r.GetDeletes()))
	for _, resource := range r.GetUpserts() {
		edits = append(edits, config.Edit{Resource: resourceOf(resource)})
	}
	for _, reference := range r.GetDeletes() {
		edits = append(edits, config.Edit{Delete: true, Resource: config.Resource{
			Kind: configv1.KindOf(reference.GetKind()), Name: reference.GetName(),
		}})
	}
	edited, err := s.config.EditChangeSet(ctx, callOf(ctx).who.Name, r.GetFleet(), r.GetId(), edits, incoming(ctx, headerIfMatch))
	return answerChangeSet(ctx, edited, err)
}

// ValidateChangeSet implements adminv1.ChangeSetServiceServer.
func (s *changeSetServer) ValidateChangeSet(ctx context.Context, r *adminv1.ValidateChangeSetRequest) (*adminv1.ValidateChangeSetResponse, error) {
	review, err := s.config.ValidateChangeSet(ctx, r.GetFleet(), r.GetId())
	if err != nil {
		return nil, err
	}
	answer := &adminv1.ValidateChangeSetResponse{
		Warnings: showWarnings(review.Warnings), Risk: showRisk(review.Risk), ApprovalsRequired: int32(review.Required),
	}
	if review.Violations != nil {
		answer.Violations = violationMessages(review.Violations.List)
	}
	return answer, nil
}

// ApproveChangeSet implements adminv1.ChangeSetServiceServer.
func (s *changeSetServer) ApproveChangeSet(ctx context.Context, r *adminv1.ApproveChangeSetRequest) (*adminv1.ChangeSet, error) {
	approved, err := s.config.ApproveChangeSet(ctx, callOf(ctx).who.Name, r.GetFleet(), r.GetId(), r.GetComment(), incoming(ctx, headerIfMatch))
	return answerChangeSet(ctx, approved, err)
}

// ExpectOfChangeSet implements adminv1.ChangeSetServiceServer.
func (s *changeSetServer) ExpectOfChangeSet(ctx context.Context, r *adminv1.ExpectOfChangeSetRequest) (*adminv1.ChangeSet, error) {
	saved, err := s.config.ExpectOfChangeSet(ctx, callOf(ctx).who.Name, r.GetFleet(), r.GetId(), r.GetExpectations(), incoming(ctx, headerIfMatch))
	return answerChangeSet(ctx, saved, err)
}

// DiffChangeSet implements adminv1.ChangeSetServiceServer.
func (s *changeSetServer) DiffChangeSet(ctx context.Context, r *adminv1.DiffChangeSetRequest) (*adminv1.Diff, error) {
	diff, err := s.config.DiffChangeSet(ctx, r.GetFleet(), r.GetId())
	return showDiff(diff), err
}

// RebaseChangeSet implements adminv1.ChangeSetServiceServer.
func (s *changeSetServer) RebaseChangeSet(ctx context.Context, r *adminv1.RebaseChangeSetRequest) (*adminv1.ChangeSet, error) {
	rebased, err := s.config.RebaseChangeSet(ctx, callOf(ctx).who.Name, r.GetFleet(), r.GetId(), incoming(ctx, headerIfMatch))
	return answerChangeSet(ctx, rebased, err)
}

// PublishChangeSet implements adminv1.ChangeSetServiceServer.
func (s *changeSetServer) PublishChangeSet(ctx context.Context, r *adminv1.PublishChangeSetRequest) (*adminv1.PublishResponse, error) {
	options, err := publishOptions(ctx, r.GetOptions())
	if err != nil {
		return nil, err
	}
	published, err := s.config.PublishChangeSet(ctx, callOf(ctx).who.Name, r.GetFleet(), r.GetId(), r.GetStrategy(), incoming(ctx, headerIfMatch), options)
	if err != nil {
		return nil, err
	}
	showPublished(ctx, published)
	return publishResponse(published), nil
}

// Apply implements adminv1.ChangeSetServiceServer.
func (s *changeSetServer) Apply(ctx context.Context, r *adminv1.ApplyRequest) (*adminv1.ApplyResponse, error) {
	publish, err := publishOptions(ctx, r.GetOptions())
	if err != nil {
		return nil, err
	}
	publish.Expectations = r.GetExpectations()
	options := config.ApplyOptions{
		Message: r.GetMessage(), Strategy: r.GetStrategy(), ValidateOnly: r.GetValidateOnly(), DraftOnly: r.GetDraftOnly(), Options: publish,
	}
	for _, resource := range r.GetResources() {
		options.Resources = append(options.Resources, resourceOf(resource))
	}
	for _, kind := range r.GetPruneKinds() {
		options.PruneKinds = append(options.PruneKinds, configv1.KindOf(kind))
	}
	applied, err := s.config.Apply(ctx, callOf(ctx).who.Name, r.GetFleet(), options)
	if err != nil {
		return nil, err
	}
	answer := &adminv1.ApplyResponse{
		Diff: showDiff(applied.Diff), Warnings: showWarnings(applied.Warnings), Risk: showRisk(applied.Risk), ApprovalsRequired: int32(applied.Required),
	}
	if applied.ChangeSet != nil {
		answer.ChangeSet = showChangeSet(*applied.ChangeSet)
	}
	if applied.Published != nil {
		showPublished(ctx, *applied.Published)
		answer.Published = publishResponse(*applied.Published)
	}
	return answer, nil
}

// publishOptions reads what a publish asks for. What goes around the fleet's policy is for administrators.
func publishOptions(ctx context.Context, asked *adminv1.PublishOptions) (config.PublishOptions, error) {
	options := config.PublishOptions{
		AllowDeletes: asked.GetAllowDeletes(), OverrideFreeze: asked.GetOverrideFreeze(), Emergency: asked.GetEmergency(), Reason: asked.GetReason(),
	}
	if (options.OverrideFreeze || options.Emergency) && callOf(ctx).who.Role < identity.Admin {
		return options, newProblem(problemForbidden, "only administrators override freeze windows or publish in an emergency")
	}
	return options, nil
}

func showRisk(risk config.Risk) *adminv1.Risk {
	return &adminv1.Risk{Class: risk.Class.String(), Reasons: risk.Reasons}
}

func answerChangeSet(ctx context.Context, found config.ChangeSet, err error) (*adminv1.ChangeSet, error) {
	if err != nil {
		return nil, err
	}
	callOf(ctx).setHeader(headerETag, found.ETag)
	return showChangeSet(found), nil
}

func showChangeSet(found config.ChangeSet) *adminv1.ChangeSet {
	shown := &adminv1.ChangeSet{
		Id: found.ID, Message: found.Message, BaseRevision: int32(found.BaseRevision), State: found.State, Author: found.Author,
		CreateTime: timestamp(found.CreatedAt), UpdateTime: timestamp(found.UpdatedAt), Revision: int32(found.Revision), Etag: found.ETag,
		Editors: found.Editors, Expectations: found.Expectations, ApprovalsRequired: int32(found.Required),
	}
	if found.State == store.ChangeSetOpen && found.Edits != nil {
		shown.Risk = showRisk(found.Risk)
	}
	for _, approval := range found.Approvals {
		shown.Approvals = append(shown.Approvals, &adminv1.Approval{Approver: approval.Approver, Comment: approval.Comment, Time: timestamp(approval.At)})
	}
	for _, edit := range found.Edits {
		if edit.Delete {
			shown.Deletes = append(shown.Deletes, &adminv1.ResourceReference{Kind: edit.Resource.Kind.Collection(), Name: edit.Resource.Name})
		} else {
			shown.Upserts = append(shown.Upserts, showResource(&edit.Resource))
		}
	}
	return shown
}

func publishResponse(published config.Published) *adminv1.PublishResponse {
	return &adminv1.PublishResponse{
		Revision: int32(published.Revision), Rollout: identifier(published.Rollout), LaneSequence: int32(published.LaneSequence),
		Warnings: showWarnings(published.Warnings),
	}
}

func showWarnings(warnings []config.Warning) []*adminv1.Warning {
	shown := make([]*adminv1.Warning, 0, len(warnings))
	for _, warning := range warnings {
		shown = append(shown, &adminv1.Warning{Resource: warning.Resource, Message: warning.Message})
	}
	return shown
}

// specOf is what the oneof of a Resource holds; nil if nothing.
func specOf(resource *adminv1.Resource) (configv1.Kind, proto.Message) {
	switch spec := resource.GetSpec().(type) {
	case *adminv1.Resource_Service:
		return configv1.Kind_KIND_SERVICE, spec.Service
	case *adminv1.Resource_Route:
		return configv1.Kind_KIND_ROUTE, spec.Route
	case *adminv1.Resource_Plugin:
		return configv1.Kind_KIND_PLUGIN, spec.Plugin
	case *adminv1.Resource_Plan:
		return configv1.Kind_KIND_PLAN, spec.Plan
	case *adminv1.Resource_Consumer:
		return configv1.Kind_KIND_CONSUMER, spec.Consumer
	case *adminv1.Resource_Certificate:
		return configv1.Kind_KIND_CERTIFICATE, spec.Certificate
	case *adminv1.Resource_Secret:
		return configv1.Kind_KIND_SECRET, spec.Secret
	case *adminv1.Resource_Block:
		return configv1.Kind_KIND_BLOCK, spec.Block
	case *adminv1.Resource_Test:
		return configv1.Kind_KIND_TEST, spec.Test
	}
	return configv1.Kind_KIND_UNSPECIFIED, nil
}

func resourceOf(resource *adminv1.Resource) config.Resource {
	kind, spec := specOf(resource)
	return config.Resource{Kind: kind, Name: resource.GetName(), Labels: resource.GetLabels(), Spec: spec}
}

// showResource is the other way; nil stays nil.
func showResource(resource *config.Resource) *adminv1.Resource {
	if resource == nil {
		return nil
	}
	shown := &adminv1.Resource{Name: resource.Name, Labels: resource.Labels}
	switch spec := resource.Spec.(type) {
	case *configv1.Service:
		shown.Spec = &adminv1.Resource_Service{Service: spec}
	case *configv1.Route:
		shown.Spec = &adminv1.Resource_Route{Route: spec}
	case *configv1.Plugin:
		shown.Spec = &adminv1.Resource_Plugin{Plugin: spec}
	case *configv1.Plan:
		shown.Spec = &adminv1.Resource_Plan{Plan: spec}
	case *configv1.Block:
		shown.Spec = &adminv1.Resource_Block{Block: spec}
	case *configv1.Consumer:
		shown.Spec = &adminv1.Resource_Consumer{Consumer: spec}
	case *configv1.Certificate:
		shown.Spec = &adminv1.Resource_Certificate{Certificate: spec}
	case *configv1.Secret:
		shown.Spec = &adminv1.Resource_Secret{Secret: spec}
	case *configv1.Test:
		shown.Spec = &adminv1.Resource_Test{Test: spec}
	}
	return shown
}

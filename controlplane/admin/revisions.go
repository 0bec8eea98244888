package admin

import (
	"context"
	"encoding/hex"
	"strconv"

	"tidegate.dev/controlplane/config"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// revisionServer is the API of what was published.
type revisionServer struct {
	adminv1.UnimplementedRevisionServiceServer
	*Server
}

// ListRevisions implements adminv1.RevisionServiceServer.
func (s *revisionServer) ListRevisions(ctx context.Context, r *adminv1.ListRevisionsRequest) (*adminv1.ListRevisionsResponse, error) {
	found, next, err := s.config.Revisions(ctx, r.GetFleet(), config.ListOptions{PageSize: pageSize(r.GetPageSize()), PageToken: r.GetPageToken()})
	if err != nil {
		return nil, err
	}
	answer := &adminv1.ListRevisionsResponse{NextPageToken: next}
	for _, one := range found {
		answer.Revisions = append(answer.Revisions, showRevision(one))
	}
	return answer, nil
}

// GetRevision implements adminv1.RevisionServiceServer.
func (s *revisionServer) GetRevision(ctx context.Context, r *adminv1.GetRevisionRequest) (*adminv1.Revision, error) {
	found, err := s.config.Revision(ctx, r.GetFleet(), int64(r.GetNumber()))
	if err != nil {
		return nil, err
	}
	return showRevision(found), nil
}

// DiffRevision implements adminv1.RevisionServiceServer.
func (s *revisionServer) DiffRevision(ctx context.Context, r *adminv1.DiffRevisionRequest) (*adminv1.Diff, error) {
	from := int64(r.GetFrom())
	if from == 0 {
		from = -1 // the parent
	}
	diff, err := s.config.DiffRevisions(ctx, r.GetFleet(), from, int64(r.GetNumber()))
	if err != nil {
		return nil, err
	}
	return showDiff(diff), nil
}

// RollbackRevision implements adminv1.RevisionServiceServer.
func (s *revisionServer) RollbackRevision(ctx context.Context, r *adminv1.RollbackRevisionRequest) (*adminv1.PublishResponse, error) {
	published, err := s.config.Rollback(ctx, callOf(ctx).who.Name, r.GetFleet(), int64(r.GetNumber()), r.GetReason())
	if err != nil {
		return nil, err
	}
	showPublished(ctx, published)
	return publishResponse(published), nil
}

func showRevision(r config.Revision) *adminv1.Revision {
	return &adminv1.Revision{
		Number: int32(r.Number), Parent: int32(r.Parent), Root: hex.EncodeToString(r.Root[:]), Message: r.Message, Author: r.Author,
		CreateTime: timestamp(r.CreatedAt), State: r.State, Origin: r.Origin, LaneSequence: int32(r.LaneSequence),
		Created: int32(r.Created), Updated: int32(r.Updated), Deleted: int32(r.Deleted), Rollout: identifier(r.Rollout),
	}
}

func showDiff(diff config.Diff) *adminv1.Diff {
	shown := &adminv1.Diff{Created: int32(diff.Created), Updated: int32(diff.Updated), Deleted: int32(diff.Deleted)}
	for _, change := range diff.Changes {
		one := &adminv1.ResourceChange{
			Action: change.Action, Kind: change.Kind.Collection(), Name: change.Name,
			Before: showResource(change.Before), After: showResource(change.After),
		}
		for _, field := range change.Fields {
			one.Fields = append(one.Fields, &adminv1.FieldChange{Path: field.Path, Before: field.Before, After: field.After})
		}
		shown.Changes = append(shown.Changes, one)
	}
	return shown
}

// identifier is a number that the API shows as text; 0 is none.
func identifier(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

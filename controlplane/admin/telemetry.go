package admin

import (
	"context"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"tidegate.dev/controlplane/telemetry"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// defaultWindow is how far back a query looks that does not say.
const defaultWindow = 15 * time.Minute

// telemetryServer answers what agents have counted.
type telemetryServer struct {
	adminv1.UnimplementedTelemetryServiceServer
	*Server
}

// QueryTelemetry implements adminv1.TelemetryServiceServer.
func (s *telemetryServer) QueryTelemetry(ctx context.Context, r *adminv1.QueryTelemetryRequest) (*adminv1.QueryTelemetryResponse, error) {
	window, err := duration("window", r.GetWindow(), defaultWindow)
	if err != nil {
		return nil, err
	}
	step, err := duration("step", r.GetStep(), window)
	if err != nil {
		return nil, err
	}
	asked, err := s.directory.Fleet(ctx, r.GetFleet())
	if err != nil {
		return nil, err
	}
	found, err := s.telemetry.Query(ctx, telemetry.Query{
		FleetID: asked.ID, Window: window, Step: step, GroupBy: r.GetGroupBy(), Agent: r.GetAgent(),
		Revision: int64(r.GetRevision()), Arm: r.GetArm(), Route: r.GetRoute(),
	})
	if err != nil {
		return nil, err
	}
	answer := &adminv1.QueryTelemetryResponse{}
	for _, series := range found {
		shown := &adminv1.TelemetrySeries{Labels: series.Labels}
		for _, point := range series.Points {
			shown.Points = append(shown.Points, &adminv1.TelemetryPoint{
				Time: timestamppb.New(point.Time), Requests: point.Requests,
				P50Ms: milliseconds(point.P50), P95Ms: milliseconds(point.P95), P99Ms: milliseconds(point.P99),
			})
		}
		answer.Series = append(answer.Series, shown)
	}
	return answer, nil
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

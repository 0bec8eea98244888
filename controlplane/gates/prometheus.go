package gates

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"tidegate.dev/controlplane/store"
	configv1 "tidegate.dev/proto/tidegate/config/v1"
)

// queryAnswer is what the HTTP API of Prometheus answers to an instant query.
type queryAnswer struct {
	Status string `json:"status"`
	Error  string `json:"error"`
	Data   struct {
		ResultType string          `json:"resultType"`
		Result     json.RawMessage `json:"result"`
	} `json:"data"`
}

func (r *Runner) askPrometheus(ctx context.Context, rollout store.GatedRollout, gate *configv1.PrometheusGate) answer {
	query := strings.NewReplacer(
		"$rollout", strconv.FormatInt(rollout.ID, 10), "$revision", strconv.FormatInt(rollout.Revision, 10),
		"$stable", strconv.FormatInt(rollout.StableRevision, 10), "$fleet", rollout.Fleet,
	).Replace(gate.GetQuery())
	target := strings.TrimSuffix(gate.GetUrl(), "/") + "/api/v1/query"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target, strings.NewReader(url.Values{"query": {query}}.Encode()))
	if err != nil {
		return unsure("the question cannot be made: %v", err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body, status, err := r.send(request)
	if err != nil {
		return unsure("Prometheus does not answer: %v", err)
	}
	var found queryAnswer
	if err := json.Unmarshal(body, &found); err != nil {
		return unsure("Prometheus answers with status %d and no JSON", status)
	}
	if found.Status != "success" {
		return unsure("Prometheus refuses the query: %s", found.Error)
	}
	value, err := singleValue(found)
	if err != nil {
		return unsure("%v", err)
	}
	return judge(value, gate)
}

// singleValue reads a scalar, or a vector of one element.
func singleValue(found queryAnswer) (float64, error) {
	var sample [2]any
	switch found.Data.ResultType {
	case "scalar":
		if err := json.Unmarshal(found.Data.Result, &sample); err != nil {
			return 0, fmt.Errorf("the answer's scalar is none: %w", err)
		}
	case "vector":
		var vector []struct {
			Value [2]any `json:"value"`
		}
		if err := json.Unmarshal(found.Data.Result, &vector); err != nil {
			return 0, fmt.Errorf("the answer's vector is none: %w", err)
		}
		if len(vector) != 1 {
			return 0, fmt.Errorf("the query gives %d values, not one", len(vector))
		}
		sample = vector[0].Value
	default:
		return 0, fmt.Errorf("the query gives a %s, not one value", found.Data.ResultType)
	}
	text, ok := sample[1].(string)
	if !ok {
		return 0, fmt.Errorf("the answer's value is none")
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0, fmt.Errorf("the answer's value %q is no number", text)
	}
	return value, nil
}

func judge(value float64, gate *configv1.PrometheusGate) answer {
	text := strconv.FormatFloat(value, 'g', 6, 64)
	switch {
	case math.IsNaN(value):
		return unsure("the query gives no number yet (NaN)")
	case gate.Max != nil && value > gate.GetMax():
		return answer{fail, fmt.Sprintf("%s is above %s", text, strconv.FormatFloat(gate.GetMax(), 'g', 6, 64))}
	case gate.Min != nil && value < gate.GetMin():
		return answer{fail, fmt.Sprintf("%s is below %s", text, strconv.FormatFloat(gate.GetMin(), 'g', 6, 64))}
	}
	return answer{pass, text + " is within its bounds"}
}

// send sends a question and reads the answer.
func (r *Runner) send(request *http.Request) (body []byte, status int, err error) {
	request.Header.Set("User-Agent", r.config.UserAgent)
	request.Header.Set("Accept", "application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err = io.ReadAll(io.LimitReader(response.Body, longestAnswer))
	return body, response.StatusCode, err
}

package admin

import (
	"fmt"
	"time"

	"tidegate.dev/controlplane/identity"
	adminv1 "tidegate.dev/proto/tidegate/admin/v1"
)

// method is what the interceptors must know about an RPC.
type method struct {
	// role is the least that may call it. Nobody: who has not signed in too.
	role identity.Role
	// action names it in the audit. Empty: it changes nothing; it takes no idempotency key and leaves no audit row.
	action string
	// collection is what the audit puts in front of the name of what was changed: "routes".
	collection string
	// secret says that the answer shows a secret: a remembered answer is sealed.
	secret bool
	// large says that the call may carry or publish many resources, and so may take longer.
	large bool
	// forgetful says that the answer is never remembered: its idempotency key is ignored. Signing in twice is two sessions.
	forgetful bool
}

// timeout bounds a call.
func (m method) timeout() time.Duration {
	switch {
	case m.large:
		return largeTimeout
	case m.action != "":
		return writeTimeout
	}
	return readTimeout
}

func reads() method { return method{role: identity.Viewer} }

func writes(role identity.Role, action, collection string) method {
	return method{role: role, action: action, collection: collection}
}

// methods is the table of who may do what. A method that is not in it is refused (and a test finds it).
func methods() map[string]method {
	table := map[string]method{
		adminv1.ChangeSetService_ListChangeSets_FullMethodName:    reads(),
		adminv1.ChangeSetService_GetChangeSet_FullMethodName:      reads(),
		adminv1.ChangeSetService_CreateChangeSet_FullMethodName:   writes(identity.Publisher, "change_set.create", "changeSets"),
		adminv1.ChangeSetService_DeleteChangeSet_FullMethodName:   writes(identity.Publisher, "change_set.abandon", "changeSets"),
		adminv1.ChangeSetService_EditChangeSet_FullMethodName:     carriesMuch(writes(identity.Publisher, "change_set.edit", "changeSets")),
		adminv1.ChangeSetService_ValidateChangeSet_FullMethodName: carriesMuch(reads()),
		adminv1.ChangeSetService_DiffChangeSet_FullMethodName:     carriesMuch(reads()),
		adminv1.ChangeSetService_ApproveChangeSet_FullMethodName:  writes(identity.Publisher, "change_set.approve", "changeSets"),
		adminv1.ChangeSetService_ExpectOfChangeSet_FullMethodName: writes(identity.Publisher, "change_set.expect", "changeSets"),
		adminv1.ChangeSetService_RebaseChangeSet_FullMethodName:   carriesMuch(writes(identity.Publisher, "change_set.rebase", "changeSets")),
		adminv1.ChangeSetService_PublishChangeSet_FullMethodName:  carriesMuch(writes(identity.Publisher, "config.publish", "changeSets")),
		adminv1.ChangeSetService_Apply_FullMethodName:             carriesMuch(writes(identity.Publisher, "config.publish", "")),

		adminv1.RevisionService_ListRevisions_FullMethodName:    reads(),
		adminv1.RevisionService_GetRevision_FullMethodName:      reads(),
		adminv1.RevisionService_DiffRevision_FullMethodName:     carriesMuch(reads()),
		adminv1.RevisionService_RollbackRevision_FullMethodName: carriesMuch(writes(identity.Publisher, "config.rollback", "revisions")),

		adminv1.RolloutService_ListRollouts_FullMethodName:   reads(),
		adminv1.RolloutService_GetRollout_FullMethodName:     reads(),
		adminv1.RolloutService_WatchRollout_FullMethodName:   reads(),
		adminv1.RolloutService_TryGate_FullMethodName:        carriesMuch(reads()),
		adminv1.RolloutService_PauseRollout_FullMethodName:   writes(identity.Publisher, "rollout.pause", "rollouts"),
		adminv1.RolloutService_ResumeRollout_FullMethodName:  writes(identity.Publisher, "rollout.resume", "rollouts"),
		adminv1.RolloutService_PromoteRollout_FullMethodName: writes(identity.Publisher, "rollout.promote", "rollouts"),
		adminv1.RolloutService_ApproveRollout_FullMethodName: writes(identity.Publisher, "rollout.approve", "rollouts"),
		adminv1.RolloutService_AbortRollout_FullMethodName:   writes(identity.Publisher, "rollout.abort", "rollouts"),

		adminv1.StrategyService_ListStrategies_FullMethodName: reads(),
		adminv1.StrategyService_GetStrategy_FullMethodName:    reads(),
		adminv1.StrategyService_UpsertStrategy_FullMethodName: writes(identity.Publisher, "strategy.upsert", "strategies"),
		adminv1.StrategyService_DeleteStrategy_FullMethodName: writes(identity.Publisher, "strategy.delete", "strategies"),

		adminv1.FleetService_ListFleets_FullMethodName:        reads(),
		adminv1.FleetService_GetFleet_FullMethodName:          reads(),
		adminv1.FleetService_CreateFleet_FullMethodName:       writes(identity.Admin, "fleet.create", "fleets"),
		adminv1.FleetService_UpdateFleetPolicy_FullMethodName: writes(identity.Admin, "fleet.policy", "fleets"),
		adminv1.FleetService_OpenEpoch_FullMethodName:         writes(identity.Admin, "fleet.open_epoch", "fleets"),
		adminv1.FleetService_ListAgents_FullMethodName:        reads(),
		adminv1.FleetService_GetAgent_FullMethodName:          reads(),
		adminv1.FleetService_DrainAgent_FullMethodName:        writes(identity.Admin, "agent.drain", "agents"),
		adminv1.FleetService_DeleteAgent_FullMethodName:       writes(identity.Admin, "agent.delete", "agents"),
		adminv1.FleetService_CreateJoinToken_FullMethodName:   showsSecret(writes(identity.Admin, "join_token.create", "joinTokens")),
		adminv1.FleetService_Explain_FullMethodName:           reads(),

		adminv1.CertificateService_RenewCertificate_FullMethodName: writes(identity.Publisher, "certificate.renew", "certificates"),

		adminv1.KeyService_ListKeys_FullMethodName:  reads(),
		adminv1.KeyService_GetKey_FullMethodName:    reads(),
		adminv1.KeyService_CreateKey_FullMethodName: showsSecret(writes(identity.Publisher, "key.create", "keys")),
		adminv1.KeyService_RotateKey_FullMethodName: showsSecret(writes(identity.Publisher, "key.rotate", "keys")),
		adminv1.KeyService_RevokeKey_FullMethodName: writes(identity.Publisher, "key.revoke", "keys"),

		adminv1.IdentityService_ListTokens_FullMethodName:      {role: identity.Admin},
		adminv1.IdentityService_CreateToken_FullMethodName:     showsSecret(writes(identity.Admin, "token.create", "tokens")),
		adminv1.IdentityService_RevokeToken_FullMethodName:     writes(identity.Admin, "token.revoke", "tokens"),
		adminv1.IdentityService_CreateSession_FullMethodName:   {role: identity.Nobody, action: "session.create", forgetful: true},
		adminv1.IdentityService_GetSession_FullMethodName:      reads(),
		adminv1.IdentityService_DeleteSession_FullMethodName:   {role: identity.Viewer, action: "session.delete", forgetful: true},
		adminv1.IdentityService_ListAuditEvents_FullMethodName: {role: identity.Admin},

		adminv1.TelemetryService_QueryTelemetry_FullMethodName: reads(),
	}
	for _, kind := range []struct{ service, message, plural, name string }{
		{adminv1.ServiceService_ServiceDesc.ServiceName, "Service", "Services", "service"},
		{adminv1.RouteService_ServiceDesc.ServiceName, "Route", "Routes", "route"},
		{adminv1.PluginService_ServiceDesc.ServiceName, "Plugin", "Plugins", "plugin"},
		{adminv1.PlanService_ServiceDesc.ServiceName, "Plan", "Plans", "plan"},
		{adminv1.TestService_ServiceDesc.ServiceName, "Test", "Tests", "test"},
		{adminv1.ConsumerService_ServiceDesc.ServiceName, "Consumer", "Consumers", "consumer"},
		{adminv1.CertificateService_ServiceDesc.ServiceName, "Certificate", "Certificates", "certificate"},
		{adminv1.SecretService_ServiceDesc.ServiceName, "Secret", "Secrets", "secret"},
		{adminv1.BlockService_ServiceDesc.ServiceName, "Block", "Blocks", "block"},
	} {
		collection := kind.name + "s"
		table[fmt.Sprintf("/%s/List%s", kind.service, kind.plural)] = reads()
		table[fmt.Sprintf("/%s/Get%s", kind.service, kind.message)] = reads()
		for verb, action := range map[string]string{"Create": "create", "Update": "update", "Upsert": "upsert", "Delete": "delete"} {
			table[fmt.Sprintf("/%s/%s%s", kind.service, verb, kind.message)] = writes(identity.Publisher, kind.name+"."+action, collection)
		}
	}
	return table
}

func carriesMuch(m method) method {
	m.large = true
	return m
}

func showsSecret(m method) method {
	m.secret = true
	return m
}

import assert from "node:assert/strict";
import { test } from "node:test";

import { nextStep, scopes } from "../../../console/sign_in.js";

const token = (claims) => `h.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.s`;

test("an answer with tokens ends the sign-in", () => {
  const result = { AccessToken: "a", RefreshToken: "r", ExpiresIn: 3600 };
  assert.deepEqual(nextStep({ AuthenticationResult: result }, "x", 1000).tokens, {
    access: "a",
    refresh: "r",
    until: 4600,
  });
});

test("a challenge is answered under the name that the pool knows", () => {
  const reply = {
    ChallengeName: "NEW_PASSWORD_REQUIRED",
    Session: "s",
    ChallengeParameters: { USER_ID_FOR_SRP: "1001" },
  };
  const step = nextStep(reply, "me@example.org", 0);
  assert.deepEqual([step.username, step.session, step.question.answer], ["1001", "s", "NEW_PASSWORD"]);
  assert.equal(nextStep({ ChallengeName: "SOFTWARE_TOKEN_MFA" }, "me", 0).username, "me");
});

test("a challenge that the page cannot answer is named", () => {
  assert.throws(() => nextStep({ ChallengeName: "SMS_MFA" }, "x", 0), /SMS_MFA/);
});

test("scopes are read from the token, whatever letters it holds", () => {
  assert.deepEqual(scopes(token({ name: "Žofie ÿ?>", scope: "watershed/read watershed/start" })), [
    "watershed/read",
    "watershed/start",
  ]);
  assert.deepEqual(scopes(token({})), []);
});

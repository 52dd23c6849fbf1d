// Signing in at the user pool, with the calls that Cognito has for browsers. Tokens stay in memory: whoever
// reloads the page signs in again, and nothing is left behind in the browser.

const QUESTIONS = {
  NEW_PASSWORD_REQUIRED: {
    answer: "NEW_PASSWORD",
    label: "A new password",
    hint: "The one you were sent is for the first time only. Take at least 12 characters, with capital and small letters, digits and symbols.",
    type: "password",
    autocomplete: "new-password",
  },
  SOFTWARE_TOKEN_MFA: {
    answer: "SOFTWARE_TOKEN_MFA_CODE",
    label: "The code of your authenticator app",
    hint: "Six digits that change every half minute.",
    type: "text",
    autocomplete: "one-time-code",
  },
  MFA_SETUP: {
    label: "The code that the app shows",
    hint: "Add this key to an authenticator app, by hand:",
    type: "text",
    autocomplete: "one-time-code",
  },
};

/**
 * What comes after an answer of Cognito: `{tokens}`, or `{challenge, question, session, username}`.
 * Throws where it asks what this page cannot answer.
 */
export function nextStep(reply, username, now) {
  const result = reply.AuthenticationResult;
  if (result) {
    return {
      tokens: { access: result.AccessToken, refresh: result.RefreshToken, until: now + result.ExpiresIn },
    };
  }
  const question = QUESTIONS[reply.ChallengeName];
  if (!question) throw new Error(`Signing in asks for ${reply.ChallengeName}, which this page does not know.`);
  return {
    challenge: reply.ChallengeName,
    question,
    session: reply.Session,
    username: reply.ChallengeParameters?.USER_ID_FOR_SRP ?? username,
  };
}

/** The scopes in an access token, to show what one may do; what one may do is for the API to decide. */
export function scopes(token) {
  const payload = token.split(".")[1].replaceAll("-", "+").replaceAll("_", "/");
  return (JSON.parse(atob(payload)).scope ?? "").split(" ").filter(Boolean);
}

/** Raised when the user pool refuses; `type` is Cognito's name for it. */
export class SignInError extends Error {
  constructor(status, reply) {
    super(reply.message ?? `Signing in failed with ${status}.`);
    this.type = reply.__type;
  }
}

export class UserPool {
  constructor(url, clientId, fetch = globalThis.fetch.bind(globalThis)) {
    Object.assign(this, { url, clientId, fetch });
  }

  /** The first step. */
  async begin(username, password) {
    const parameters = { USERNAME: username, PASSWORD: password };
    return this.#step(await this.#initiate("USER_PASSWORD_AUTH", parameters), username);
  }

  /** The step after a challenge was answered. */
  async answer(step, value) {
    let { session } = step;
    const responses = { USERNAME: step.username };
    if (step.question.answer) responses[step.question.answer] = value;
    else session = (await this.#ask("VerifySoftwareToken", { Session: session, UserCode: value })).Session;
    const reply = await this.#ask("RespondToAuthChallenge", {
      ClientId: this.clientId,
      ChallengeName: step.challenge,
      Session: session,
      ChallengeResponses: responses,
    });
    return this.#step(reply, step.username);
  }

  /** Newer tokens; the refresh token stays. */
  async renew(tokens) {
    const reply = await this.#initiate("REFRESH_TOKEN_AUTH", { REFRESH_TOKEN: tokens.refresh });
    return { ...nextStep(reply, "", Date.now() / 1000).tokens, refresh: tokens.refresh };
  }

  /** End the session at the pool as well. */
  async leave(tokens) {
    await this.#ask("RevokeToken", { ClientId: this.clientId, Token: tokens.refresh });
  }

  async #step(reply, username) {
    const step = nextStep(reply, username, Date.now() / 1000);
    if (step.challenge !== "MFA_SETUP") return step;
    const made = await this.#ask("AssociateSoftwareToken", { Session: step.session });
    return { ...step, session: made.Session, secret: made.SecretCode };
  }

  #initiate(flow, parameters) {
    return this.#ask("InitiateAuth", {
      AuthFlow: flow,
      ClientId: this.clientId,
      AuthParameters: parameters,
    });
  }

  async #ask(action, body) {
    const response = await this.fetch(this.url, {
      method: "POST",
      headers: {
        "Content-Type": "application/x-amz-json-1.1",
        "X-Amz-Target": `AWSCognitoIdentityProviderService.${action}`,
      },
      body: JSON.stringify(body),
    });
    const reply = await response.json().catch(() => ({}));
    if (!response.ok) throw new SignInError(response.status, reply);
    return reply;
  }
}

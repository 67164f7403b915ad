// JSON-RPC over HTTP, for what is asked every second of nodes that may be dead: no connection outlives a question.

/** A failure of the transport (the node is not there) as opposed to an answer that says no. */
export class Unreachable extends Error {}

/**
 * Asks several questions in one request.
 *
 * @param {string} url
 * @param {[string, unknown[]?][]} calls method and parameters
 * @returns {Promise<unknown[]>} the results, in order
 */
export async function batch(url, calls, timeoutMs = 5_000) {
  const body = calls.map(([method, params = []], id) => ({ jsonrpc: '2.0', id, method, params }))
  let answers
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(timeoutMs),
    })
    answers = await response.json()
  } catch (error) {
    throw new Unreachable(`${url}: ${error.cause?.message ?? error.message}`)
  }
  if (!Array.isArray(answers)) throw new Error(`${url}: ${answers.error?.message ?? 'unexpected answer'}`)
  const byId = new Map(answers.map((answer) => [answer.id, answer]))
  return calls.map(([method], id) => {
    const answer = byId.get(id)
    if (!answer) throw new Error(`${url}: no answer to ${method}`)
    if (answer.error) throw new Error(`${url}: ${method}: ${answer.error.message}`)
    return answer.result
  })
}

/** Asks one question. */
export async function call(url, method, params = [], timeoutMs) {
  return (await batch(url, [[method, params]], timeoutMs))[0]
}

import { createFileRoute, useRouter } from '@tanstack/react-router';
import * as z from 'zod/mini';
import { SignInPage } from '@/features/session/SignInPage';

/** Where to go afterwards: a path of this console, never another site's ("//host", "/\host"). */
const next = z.string().check(z.regex(/^\/(?![/\\])/));

export const Route = createFileRoute('/sign-in')({
  validateSearch: z.object({ next: z.catch(z.optional(next), undefined) }),
  component: SignIn,
});

function SignIn() {
  const router = useRouter();
  const search = Route.useSearch();
  return <SignInPage onSignedIn={() => router.history.push(search.next ?? '/')} />;
}

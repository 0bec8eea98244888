import { createFileRoute, useRouter } from '@tanstack/react-router';
import { z } from 'zod';
import { SignInPage } from '@/features/session/SignInPage';

/** Where to go afterwards: a path of this console, never another site's ("//host", "/\host"). */
const next = z.string().regex(/^\/(?![/\\])/);

export const Route = createFileRoute('/sign-in')({
  validateSearch: z.object({ next: next.optional().catch(undefined) }),
  component: SignIn,
});

function SignIn() {
  const router = useRouter();
  const search = Route.useSearch();
  return <SignInPage onSignedIn={() => router.history.push(search.next ?? '/')} />;
}
